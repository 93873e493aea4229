import { type ErrorCode, MillraceError } from '../../core/errors.ts';
import type { CommitResult, LogState } from '../../core/ports.ts';
import type { Position } from '../../core/record.ts';
import type { ConsumerStart } from './journal-consumer.ts';
import type { Span } from './journal-view.ts';
import type { EncodedCommit } from './journal-writer.ts';

/** What another thread asks of the owner, and what it is answered with. */
export interface LogCalls {
  commit(commit: EncodedCommit): Promise<CommitResult>;
  consume(group: string, topics: readonly string[]): Promise<ConsumerStart>;
  locate(place: Position): Promise<Span | null>;
  describe(): Promise<LogState>;
}

/** What another thread tells the owner. */
export interface LogNotices {
  closeConsumer(slot: number): void;
  keepFrom(name: string, position: number): void;
  damage(address: number): void;
}

type MessageOf<T> = {
  [K in keyof T]: T[K] extends (...args: infer Args) => unknown
    ? { readonly kind: K; readonly args: Args }
    : never;
}[keyof T];

/** A call on its way to the owner; notices have no id and no answer. */
export type LogRequest =
  | (MessageOf<LogCalls> & { readonly id: number })
  | (MessageOf<LogNotices> & { readonly id?: never });

/** The answer to the call of that id. */
export type LogReply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: ErrorCode | null; readonly why: string } };

/** An error in a form that crosses threads. */
export function packError(error: unknown): { readonly code: ErrorCode | null; readonly why: string } {
  if (error instanceof MillraceError) return { code: error.code, why: error.why };
  return { code: null, why: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}

/** The error that {@link packError} packed; what was no {@link MillraceError} is a plain error again. */
export function unpackError(packed: { readonly code: ErrorCode | null; readonly why: string }): Error {
  return packed.code === null ? new Error(packed.why) : new MillraceError(packed.code, packed.why);
}
