/** Who watches which big room: the room's socket is there as long as one does. */
export class Watchers {
  readonly #counts = new Map<string, number>();
  readonly #open: (conversationId: string) => void;
  readonly #close: (conversationId: string) => void;

  constructor(open: (conversationId: string) => void, close: (conversationId: string) => void) {
    this.#open = open;
    this.#close = close;
  }

  /** Answers the way to end it; calling that twice does no harm. */
  watch(conversationId: string): () => void {
    const count = this.#counts.get(conversationId) ?? 0;
    this.#counts.set(conversationId, count + 1);
    if (count === 0) {
      this.#open(conversationId);
    }
    let watching = true;
    return () => {
      if (watching) {
        watching = false;
        this.#left(conversationId);
      }
    };
  }

  #left(conversationId: string): void {
    const left = (this.#counts.get(conversationId) ?? 1) - 1;
    if (left > 0) {
      this.#counts.set(conversationId, left);
      return;
    }
    this.#counts.delete(conversationId);
    this.#close(conversationId);
  }
}
