import type { MillraceError } from '../../../core/errors.ts';

/** What the watch is made with. */
export interface BrokerHealthOptions {
  /** Looks at the brokers; rejects with what is wrong. */
  probe(): Promise<unknown>;
}

const PROBE_EVERY_MS = 500;

/**
 * Whether the brokers can be written to, as far as is known: asked nothing while all goes well, and looked at
 * every half second from the first sign of trouble until they answer again.
 */
export class BrokerHealth {
  readonly #options: BrokerHealthOptions;
  #error: MillraceError | null = null;
  #isProbing = false;
  #isClosed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: BrokerHealthOptions) {
    this.#options = options;
  }

  /** What is wrong, or null. */
  get error(): MillraceError | null {
    return this.#error;
  }

  /** A write was not answered: nothing more is taken until a look shows that the brokers are back. */
  failed(error: MillraceError): void {
    this.#error = error;
    this.suspect();
  }

  /** Something points to trouble: looks at once. */
  suspect(): void {
    if (this.#isProbing || this.#isClosed) return;
    this.#isProbing = true;
    void this.#probe();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #probe(): Promise<void> {
    try {
      await this.#options.probe();
      this.#error = null;
      this.#isProbing = false;
    } catch (error) {
      this.#error = error as MillraceError;
      if (!this.#isClosed) this.#timer = setTimeout(() => void this.#probe(), PROBE_EVERY_MS);
    }
  }
}
