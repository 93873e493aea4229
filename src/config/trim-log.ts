import { createReadStream, createWriteStream } from 'node:fs';
import { stat, truncate } from 'node:fs/promises';
import { pipeline } from 'node:stream/promises';

const LOG_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Moves the end of a log that has grown past its cap, 16 MiB, to `<log>.1`, as much of it as the cap. The file is
 * copied and cut, since who writes it keeps it open, for appending; lines written in between are lost. Never throws.
 */
export async function trimLog(logFile: string): Promise<void> {
  try {
    const { size } = await stat(logFile);
    if (size <= LOG_BYTES_MAX) return;
    // One that nobody looked at may be larger than what is free.
    const end = createReadStream(logFile, { start: size - LOG_BYTES_MAX, end: size - 1 });
    await pipeline(end, createWriteStream(`${logFile}.1`, { mode: 0o600 }));
    await truncate(logFile);
  } catch {
    // No log yet, or no room for its copy: the next round looks again.
  }
}
