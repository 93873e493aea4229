import { open } from 'node:fs/promises';

/** The end of a file. */
export interface FileTail {
  readonly text: string;
  /** Whether more stands before it: it may then begin within a line, or a character. */
  readonly isCut: boolean;
  readonly writtenAtMs: number;
}

/** Reads at most so many bytes from the end of a file. Throws what the system says where it cannot be read. */
export async function readFileTail(path: string, bytesMax: number): Promise<FileTail> {
  await using file = await open(path, 'r');
  const { size, mtimeMs: writtenAtMs } = await file.stat();
  const start = Math.max(0, size - bytesMax);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
  return { text: buffer.toString('utf8', 0, bytesRead), isCut: start > 0, writtenAtMs };
}
