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
export type { Change } from '../../core/operation.ts';
export type {
  OperationDescription,
  OperationDocument,
  OperationState,
  OperationsDocument,
  PlanDocument,
  ReceiptDocument,
  ReceiptOutcome,
  ReceiptsDocument,
  RunEvent,
  RunStateDocument,
  RunSummary,
  RunVerb,
} from '../../core/operation-documents.ts';
