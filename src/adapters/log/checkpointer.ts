import type { Logger } from '../../observability/logger.ts';
import { writeCheckpoint } from './checkpoint.ts';
import type { LogIndex } from './log-index.ts';

/** Journal bytes and milliseconds after which a checkpoint is renewed: what opening must read again at most. */
const BYTES_MAX = 64 * 1024 * 1024;
const AGE_MS_MAX = 60_000;

/** Renews the checkpoint when enough has changed; one at a time. */
export class Checkpointer {
  readonly #options: { readonly directory: string; readonly index: LogIndex; readonly logger: Logger };
  #bytes = 0;
  #isChanged = false;
  #isDue = false;
  #writtenAtMs = performance.now();

  constructor(options: { readonly directory: string; readonly index: LogIndex; readonly logger: Logger }) {
    this.#options = options;
  }

  /** Counts a durable frame; one that opened a segment makes a checkpoint due. */
  onFrame(bytes: number, opensSegment: boolean): void {
    this.#bytes += bytes;
    this.#isChanged = true;
    if (opensSegment) this.#isDue = true;
  }

  /** Makes a checkpoint due because something besides the journal changed. */
  touch(): void {
    this.#isChanged = true;
    this.#isDue = true;
  }

  /**
   * Writes a checkpoint where one is due. One that cannot be written, on a full disk, is tried again later: the
   * journal tells the same without it.
   */
  async writeIfDue(): Promise<void> {
    const isOld = performance.now() - this.#writtenAtMs >= AGE_MS_MAX;
    if (this.#isDue || this.#bytes >= BYTES_MAX || (this.#isChanged && isOld)) await this.#write();
  }

  /** Writes the last one, where anything changed. */
  async close(): Promise<void> {
    if (this.#isChanged) await this.#write();
  }

  async #write(): Promise<void> {
    const { directory, index, logger } = this.#options;
    this.#bytes = 0;
    this.#isChanged = false;
    this.#isDue = false;
    this.#writtenAtMs = performance.now();
    try {
      await writeCheckpoint(directory, index);
    } catch (error) {
      this.#isChanged = true;
      logger.warn({ error: String(error) }, 'log checkpoint not written, tried again later');
    }
  }
}
