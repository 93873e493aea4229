import { MillraceError } from '../../../core/errors.ts';

const PROBE_EVERY_MS = 1_000;

/**
 * Whether the brokers can be written to, as of a moment ago: looked at every second from the first question on, so
 * that an answer costs a comparison. Clients learn of trouble by their next write; who is refused at once keeps
 * nothing waiting.
 */
export class BrokerHealth {
  /** Looks at the brokers; rejects with what is wrong. */
  readonly #probe: () => Promise<unknown>;
  #error: MillraceError | null = null;
  #isLooking = false;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(probe: () => Promise<unknown>) {
    this.#probe = probe;
  }

  /** What is wrong, or null. */
  check(): MillraceError | null {
    if (!this.#isLooking) {
      this.#isLooking = true;
      void this.#look();
    }
    return this.#error;
  }

  /** A write was not answered: nothing more is taken until a look shows that the brokers are back. */
  failed(error: MillraceError): void {
    this.#error = error;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    try {
      await this.#probe();
      this.#error = null;
    } catch (error) {
      this.#error =
        error instanceof MillraceError
          ? error
          : new MillraceError('ERR_STORE_UNAVAILABLE', String(error), { cause: error });
    }
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => void this.#look(), PROBE_EVERY_MS);
    // The look alone keeps no process up.
    this.#timer.unref();
  }
}
