/**
 * Frees the memory of bytes at once, unless others have a part in it: short ones are pieces of a pool that Node keeps.
 * The bytes are of length 0 afterwards, so nobody may read them any more. Bytes whose memory is freed already stay so.
 *
 * Left to be collected, they are memory outside V8's heap, whose sum sets off collections of all of it, at 64 MB.
 */
export function freeMemory(bytes: Uint8Array): void {
  const { buffer } = bytes;
  const isPool = buffer.byteLength === Buffer.poolSize && bytes.byteLength < buffer.byteLength;
  // Moves it to a buffer of no bytes.
  if (buffer instanceof ArrayBuffer && !buffer.detached && !isPool) buffer.transfer(0);
}
