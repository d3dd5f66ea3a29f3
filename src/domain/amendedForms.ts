/** Last forms of messages that changed lately, for whoever holds or is still to get them in an older one. */
import { tombstone } from "./messageRules.ts";
import type { StoredMessage } from "./records.ts";

export class AmendedForms {
  readonly #keep: number;
  /** By sequence: the message, or when it was recalled (epoch milliseconds). */
  readonly #forms = new Map<number, StoredMessage | number>();

  /** @param keep messages remembered; the one that changed first leaves first. */
  constructor(keep: number) {
    this.#keep = keep;
  }

  /** News of messages come over queues: an earlier form, read before a recall or another edit, may come after it. */
  note(seqId: number, form: StoredMessage | number): void {
    const known = this.#forms.get(seqId);
    if (typeof known === "number" || (known !== undefined && isEarlier(form, known))) {
      return;
    }
    this.#forms.set(seqId, form);
    if (this.#forms.size > this.#keep) {
      const [oldest] = this.#forms.keys();
      this.#forms.delete(oldest ?? 0);
    }
  }

  lastForm(message: StoredMessage): StoredMessage {
    const known = this.#forms.get(message.seqId);
    if (known === undefined || message.recalledAt !== undefined) {
      return message;
    }
    if (typeof known === "number") {
      return tombstone(message, known);
    }
    return isEarlier(known, message) ? message : known;
  }
}

/** Of two forms the one edited later is the newer; nothing is newer than a recall. */
function isEarlier(form: StoredMessage | number, than: StoredMessage): boolean {
  return typeof form !== "number" && (form.editedAt ?? 0) < (than.editedAt ?? 0);
}
