import { useEffect, useState } from 'preact/hooks';

/** Why a request was not answered; the server's words where it said any. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly why: string;
  readonly remedy: string;
}

/** What came of a request. */
export type Answer<T> = { readonly value: T } | { readonly refusal: Refusal };

/** Reads a document of the API. */
export function read<T>(path: string, signal?: AbortSignal): Promise<Answer<T>> {
  return request<T>(path, signal === undefined ? {} : { signal });
}

/** Posts a JSON document, or nothing. */
export function post<T>(path: string, body?: object, signal?: AbortSignal): Promise<Answer<T>> {
  return request<T>(path, {
    method: 'POST',
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/**
 * Reads JSON lines as they come; resolves at their end, with why where they were refused or broke off.
 * @param onLine  told of each line, in order
 */
export async function readLines<T>(
  path: string,
  onLine: (line: T) => void,
  init: RequestInit = {},
): Promise<Refusal | undefined> {
  try {
    const response = await fetch(path, init);
    if (!response.ok) return refusalOf(response.status, await response.text());
    let rest = '';
    for await (const chunk of textsOf(response)) {
      const lines = `${rest}${chunk}`.split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) onLine(JSON.parse(line));
    }
    return undefined;
  } catch (error) {
    return noAnswer(error);
  }
}

/** A path of the API with its filters; empty ones are left out. */
export function apiPath(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== '') search.set(name, String(value));
  }
  const text = search.toString();
  return text === '' ? path : `${path}?${text}`;
}

/**
 * Loads once for each `key`, and again when it changes; the answer before stays until the next is there, so that
 * nothing jumps. `key` null loads nothing.
 */
export function useAnswer<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<Answer<T>>,
): { readonly answer: Answer<T> | undefined; readonly isLoading: boolean } {
  const [state, setState] = useState<{ readonly key: string | null; readonly answer: Answer<T> | undefined }>(
    {
      key: null,
      answer: undefined,
    },
  );
  useEffect(() => {
    if (key === null) {
      setState({ key: null, answer: undefined });
      return undefined;
    }
    const stopped = new AbortController();
    void load(stopped.signal).then(answer => {
      if (!stopped.signal.aborted) setState({ key, answer });
    });
    return () => stopped.abort();
  }, [key]);
  return { answer: state.answer, isLoading: state.key !== key };
}

async function request<T>(path: string, init: RequestInit): Promise<Answer<T>> {
  try {
    const response = await fetch(path, init);
    const text = await response.text();
    if (!response.ok) return { refusal: refusalOf(response.status, text) };
    const isLines = response.headers.get('content-type')?.includes('ndjson') === true;
    return { value: isLines ? linesOf(text) : JSON.parse(text) };
  } catch (error) {
    return { refusal: noAnswer(error) };
  }
}

function noAnswer(error: unknown): Refusal {
  return {
    code: 'NO_ANSWER',
    message: 'Millrace does not answer',
    why: error instanceof Error ? error.message : String(error),
    remedy: 'Is it running? millrace status',
  };
}

async function* textsOf({ body }: Response): AsyncGenerator<string> {
  const reader = body!.getReader();
  const decoder = new TextDecoder();
  // Ends with the answer.
  while (true) {
    const { done, value } = await reader.read();
    if (done) return;
    yield decoder.decode(value, { stream: true });
  }
}

/** JSON lines as a list; the type of a caller that reads lines is a list. */
function linesOf(text: string) {
  return JSON.parse(`[${text.trim().replaceAll('\n', ',')}]`);
}

function refusalOf(status: number, text: string): Refusal {
  try {
    const { error } = JSON.parse(text) as { readonly error: Refusal };
    return error;
  } catch {
    return {
      code: `HTTP_${status}`,
      message: `the answer was ${status}`,
      why: text.slice(0, 200),
      remedy: '',
    };
  }
}
