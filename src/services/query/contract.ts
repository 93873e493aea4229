/** What the API answers, by the names of its documents: the console takes its types from here and nothing else. */
export type {
  EventDocument,
  EventOutcome,
  EventRow,
  EventsDocument,
  FailedRow,
  JobDocument,
  PulseDocument,
  QueryDocument,
  RelationsDocument,
  SightingDocument,
  StageDocument,
  TailDocument,
  TopicDocument,
  TraceDocument,
} from '../../core/documents.ts';
export type { Json } from '../../core/event.ts';
