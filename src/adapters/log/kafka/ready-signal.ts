/** Wakes one waiter when something may have become ready; a signal given before the wait is not lost. */
export class ReadySignal {
  #isSet = false;
  #wake: (() => void) | null = null;

  /** Wakes the waiter, or the next one at once. */
  set(): void {
    this.#isSet = true;
    this.#wake?.();
  }

  /** Forgets signals given so far: what they announced is about to be looked at. */
  clear(): void {
    this.#isSet = false;
  }

  /** Resolves at the next signal, at the latest after so many ms. */
  async wait(waitMs: number): Promise<void> {
    if (this.#isSet || waitMs <= 0) return;
    await new Promise<void>(resolve => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = null;
  }
}
