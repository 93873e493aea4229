import { describe, it } from 'node:test';
import { openTableReader } from '../../src/adapters/tables/sqlite-tables.ts';
import { READER_CONTRACT } from './reader-contract.ts';
import { atEnd, ENVIRONMENT, openScratchTables } from './setting.ts';

describe('look-ups in sqlite', () => {
  for (const [claim, check] of Object.entries(READER_CONTRACT)) {
    it(claim, async t => {
      const { file, tables } = await openScratchTables(t);
      const reader = openTableReader({ file, environment: ENVIRONMENT, redactEids: [] });
      atEnd(t, () => reader.close());
      await check({ tables, reader });
    });
  }
});
