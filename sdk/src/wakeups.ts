/** Signs in a browser that the network may be back: a waiting reconnect should not wait any longer. */

type PageLike = {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
  document?: {
    visibilityState: string;
    addEventListener(type: string, listener: () => void): void;
    removeEventListener(type: string, listener: () => void): void;
  };
};

/** Does nothing where there is no page. Answers the way to end it. */
export function onWakeup(wake: () => void): () => void {
  const page = globalThis as PageLike;
  const { document } = page;
  if (document === undefined || page.addEventListener === undefined) {
    return () => undefined;
  }
  const visible = (): void => {
    if (document.visibilityState === "visible") {
      wake();
    }
  };
  page.addEventListener("online", wake);
  page.addEventListener("pageshow", wake);
  document.addEventListener("visibilitychange", visible);
  return () => {
    page.removeEventListener?.("online", wake);
    page.removeEventListener?.("pageshow", wake);
    document.removeEventListener("visibilitychange", visible);
  };
}
