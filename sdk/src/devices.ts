/** The signed-in devices of whoever is signed in here. */
import type { Chat } from "./chat.ts";
import type { Device, List } from "./protocol.ts";

export class Devices {
  readonly #chat: Chat;

  constructor(chat: Chat) {
    this.#chat = chat;
  }

  /** All of them, this one (`current`) too; a user has a few at most, so there are no pages. */
  list(): Promise<List<Device>> {
    return this.#chat.call("GET", "/users/me/sessions?limit=100");
  }

  /** Signs a device out: its sockets close, its tokens are refused from now on. */
  async remove(deviceId: string): Promise<void> {
    await this.#chat.call("DELETE", `/users/me/sessions/${encodeURIComponent(deviceId)}`);
  }
}
