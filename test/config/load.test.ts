import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { type ConfigSources, configDigest, examineConfig, loadConfig } from '../../src/config/load.ts';
import { OPTIONS, type OptionKey, type OptionSpec } from '../../src/config/options.ts';
import { variableOf } from '../../src/config/variables.ts';
import { MillraceError } from '../../src/core/errors.ts';

const directory = mkdtempSync(join(tmpdir(), 'millrace-config-'));
after(() => rmSync(directory, { recursive: true }));

/** Loads the environment `test` from the given files, variables and sets. */
function load(parts: { base?: string; own?: string } & Partial<Pick<ConfigSources, 'env' | 'sets'>>) {
  writeFileSync(join(directory, 'base.yaml'), parts.base ?? '');
  writeFileSync(join(directory, 'test.yaml'), parts.own ?? '');
  return loadConfig({
    environment: 'test',
    environmentsDirectory: directory,
    env: parts.env ?? {},
    sets: parts.sets ?? [],
  });
}

function whyOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof MillraceError, String(error));
    assert.equal(error.code, 'ERR_CONFIG_INVALID');
    return error.why;
  }
  assert.fail('nothing was thrown');
}

describe('loadConfig', () => {
  it('lets the later source win, and says which one it was', () => {
    const base = 'dedup:\n  ttlMs: 2000\nhttp.port: 1\n';
    const own = '# mine\ndedup.ttlMs: 3000\n';
    const env = { MILLRACE_DEDUP_TTL_MS: '4000' };
    const sets = ['dedup.ttlMs=5000', 'dedup.ttlMs=6000'];
    const seen = [
      load({}),
      load({ base }),
      load({ base, own }),
      load({ base, own, env }),
      load({ base, own, env, sets }),
    ].map(({ config, origins }) => [config['dedup.ttlMs'], origins['dedup.ttlMs']]);
    const folder = basename(directory);
    assert.deepEqual(seen, [
      [3_600_000, 'fallback'],
      [2000, `${folder}/base.yaml:2`],
      [3000, `${folder}/test.yaml:2`],
      [4000, 'MILLRACE_DEDUP_TTL_MS'],
      [6000, '--set'],
    ]);
    assert.equal(load({ base, own }).config['http.port'], 1);
  });

  it('has a value and an origin for every key', () => {
    const { config, origins } = load({});
    assert.deepEqual(Object.keys(config), Object.keys(OPTIONS));
    assert.deepEqual(Object.keys(origins), Object.keys(OPTIONS));
  });

  it('fills dedup.producers with the environment, but not over what was asked for', () => {
    assert.deepEqual(load({}).config['dedup.producers'], ['test.sunbird.portal', 'test.sunbird.desktop']);
    assert.deepEqual(load({ sets: ['dedup.producers=a, b,'] }).config['dedup.producers'], ['a', 'b']);
  });

  it('takes on, off, true and false for a switch, and nothing else', () => {
    for (const [text, value] of Object.entries({ on: true, true: true, off: false, FALSE: false })) {
      assert.equal(load({ sets: [`route.validation=${text}`] }).config['route.validation'], value);
      assert.equal(load({ own: `route.validation: ${text}` }).config['route.validation'], value);
    }
    assert.match(
      whyOf(() => load({ sets: ['route.validation=yes'] })),
      /must be on or off, is "yes"/,
    );
  });

  it('variables that others set for their own ends are passed by', () => {
    const env = {
      MILLRACE_PORT: 'tcp://10.0.0.1:80',
      MILLRACE_SERVICE_HOST: '10.0.0.1',
      MILLRACE_TEST_SEED: '1',
    };
    assert.deepEqual(load({ env }).config, load({ env: {} }).config);
  });

  it('names the key, the file, the line and the likely meaning', () => {
    const why = whyOf(() => load({ own: '\ndedup:\n  ttlMS: 1\n' }));
    assert.match(why, /test\.yaml:3: there is no key dedup\.ttlMS \(did you mean dedup\.ttlMs\?\)/);
    assert.match(
      whyOf(() => load({ env: { MILLRACE_DEDUP_TTL: '1' } })),
      /variable MILLRACE_DEDUP_TTL is no .*mean MILLRACE_DEDUP_TTL_MS/,
    );
    assert.match(
      whyOf(() => load({ sets: ['topics.store=some'] })),
      /edges or all, is "some"/,
    );
  });

  it('names all that is wrong at once, in the order of the sources, and goes on past it', () => {
    writeFileSync(join(directory, 'base.yaml'), 'dedup: {ttlMS: 1}\n');
    writeFileSync(join(directory, 'test.yaml'), 'http: {port: x}\nlog: {partitions: 3}\n');
    const { config, problems } = examineConfig({
      environment: 'test',
      environmentsDirectory: directory,
      env: { MILLRACE_DEDUP_TTL: '1' },
      sets: ['topics.store=some', 'novalue'],
    });
    const whys = problems.map(({ why }) => why);
    assert.equal(whys.length, 5);
    for (const [index, part] of [
      'ttlMS',
      'http.port',
      'MILLRACE_DEDUP_TTL',
      'topics.store',
      'novalue',
    ].entries())
      assert.ok(whys[index]!.includes(part), whys[index]);
    assert.deepEqual([config['log.partitions'], config['http.port']], [3, OPTIONS['http.port'].fallback]);
  });

  it('refuses a login that gives brokers elsewhere the password as it is, unless it is encrypted', () => {
    const sets = [
      'kafka.mechanism=plain',
      'kafka.username=app',
      'kafka.brokers=127.0.0.1:1,[::1]:1,localhost:1',
    ];
    load({ sets });
    const elsewhere = [...sets, 'kafka.brokers=127.0.0.1:1,kafka.example.org:1'];
    assert.match(
      whyOf(() => load({ sets: elsewhere })),
      /kafka\.mechanism is plain, .* kafka\.tls must be on/,
    );
    load({ sets: [...elsewhere, 'kafka.tls=on'] });
    load({ sets: [...elsewhere, 'kafka.username='] });
    load({ sets: [...elsewhere, 'kafka.mechanism=scram-sha-256'] });
    const own = ['kafka.target=host', 'kafka.username=app'];
    assert.match(
      whyOf(() => load({ sets: own })),
      /kafka\.target is host: .* draw a login of their own/,
    );
    for (const server of ['redis', 'postgres']) {
      const tls = `${server}.tls=on`;
      load({ sets: [tls] });
      assert.match(
        whyOf(() => load({ sets: [tls, `${server}.target=host`] })),
        new RegExp(`${server}\\.target is host: .* without ${server}\\.tls`),
      );
    }
  });

  it('refuses what only a server of others can have for one that is started here', () => {
    const values = {
      'kafka.brokers': '127.0.0.1:9092',
      'kafka.password': 'env:SECRET',
      'kafka.mechanism': 'scram-sha-256',
      'kafka.caFile': '/etc/ca.pem',
      'redis.host': 'redis.example.org',
      'redis.password': 'env:SECRET',
      'redis.caFile': '/etc/ca.pem',
      'postgres.host': 'postgres.example.org',
      'postgres.password': 'env:SECRET',
      'postgres.caFile': '/etc/ca.pem',
    };
    for (const [key, value] of Object.entries(values)) {
      const target = `${key.split('.')[0]}.target`;
      load({ sets: [`${key}=${value}`] });
      load({ sets: [`${target}=host`] });
      assert.match(
        whyOf(() => load({ own: `${key}: ${value}`, sets: [`${target}=host`] })),
        new RegExp(`^${key} is of a server .*, and ${target} is host: .* \\(.*test\\.yaml:1\\)$`),
      );
    }
  });

  it('takes every address of this machine alone for one that needs no http.allowedHosts', () => {
    for (const host of ['127.0.0.1', '127.0.0.2', '::1', 'localhost']) load({ sets: [`http.host=${host}`] });
    for (const host of ['0.0.0.0', '::', '128.0.0.1', 'localhost.example.org', '127.0.0.1.example.org']) {
      assert.match(
        whyOf(() => load({ sets: [`http.host=${host}`] })),
        /which others can reach/,
        host,
      );
    }
  });

  it('refuses what is not a value of the key', () => {
    const bad: readonly [string, RegExp][] = [
      ['dedup.ttlMs=999', /must be 1000 to/],
      ['dedup.ttlMs=1e5', /must be an integer/],
      ['dedup.ttlMs=', /must be an integer/],
      ['http.port=65536', /must be 0 to 65535/],
      ['dedup.ttlMs', /is not key=value/],
      ['=5', /is not key=value/],
      ['constructor=5', /there is no key constructor/],
      ['chain.split=dedupe', /chain\.split names dedupe.*mean dedup\?/],
      ['http.host=0.0.0.0', /http\.allowedHosts/],
      ['ingest.tokens=s3cret', /references/],
      ['ingest.bodyBytesMax=67108865', /must be 1024 to 67108864/],
    ];
    for (const [set, why] of bad)
      assert.match(
        whyOf(() => load({ sets: [set] })),
        why,
      );
    assert.doesNotMatch(
      whyOf(() => load({ sets: ['ingest.tokens=s3cret'] })),
      /s3cret/,
    );
    for (const own of ['- a', 'a: b: c', 'dedup.ttlMs: [1]', 'dedup.ttlMs:', 'validate.channelDefault: 1']) {
      whyOf(() => load({ own }));
    }
  });

  it('leaves an empty file and an empty section alone', () => {
    assert.deepEqual(load({ own: '# nothing\n', base: 'dedup:\n' }).config, load({}).config);
  });

  it('names the environments there are when one is missing, and refuses a path for a name', () => {
    const from = (environment: string) =>
      loadConfig({ environment, environmentsDirectory: directory, env: {}, sets: [] });
    load({});
    assert.match(
      whyOf(() => from('tset')),
      /no .*tset\.yaml \(did you mean test\?\)/,
    );
    for (const name of ['../test', '', 'Test', 'base', 'a.b', 'a:b']) whyOf(() => from(name));
  });

  it('reads the same value from every source (property)', () => {
    fc.assert(
      fc.property(anyKeyWithText(), ([key, text]) => {
        const fromSet = load({ sets: [`${key}=${text}`] }).config[key];
        const fromVariable = load({ env: { [variableOf(key)]: text } }).config[key];
        const fromFile = load({ own: stringify({ [key]: text }) }).config[key];
        assert.deepEqual(fromVariable, fromSet);
        assert.deepEqual(fromFile, fromSet);
      }),
      { numRuns: 200 },
    );
  });

  it('survives print and parse: what show prints can be a file again', () => {
    const { config } = load({ sets: ['chain.split=dedup,route', 'archive.codec=gzip'] });
    assert.deepEqual(load({ own: stringify(config) }).config, config);
  });
});

describe('configDigest', () => {
  it('differs with any value and not with where it came from', () => {
    const fallback = configDigest(load({}).config);
    assert.equal(configDigest(load({ sets: ['http.port=8480'] }).config), fallback);
    assert.notEqual(configDigest(load({ sets: ['http.port=8481'] }).config), fallback);
    assert.match(fallback, /^[0-9a-f]{64}$/);
  });
});

/** A key that stands alone with a text it accepts. */
function anyKeyWithText() {
  const lonely = (Object.entries(OPTIONS) as [OptionKey, OptionSpec][]).filter(
    ([key, { type }]) =>
      type !== 'integer' && !['http.host', 'ingest.tokens', 'chain.split', 'log.adapter'].includes(key),
  );
  const word = fc.stringMatching(/^[a-z0-9][a-zA-Z0-9 .:/_-]{0,20}[a-z0-9]$/);
  return fc.constantFrom(...lonely).chain(([key, spec]) => {
    const texts =
      spec.oneOf !== undefined
        ? fc.constantFrom(...spec.oneOf)
        : spec.type === 'switch'
          ? fc.constantFrom('on', 'off', 'true', 'false')
          : spec.type === 'list'
            ? fc.array(word, { maxLength: 4 }).map(words => words.join(','))
            : word;
    return texts.map(text => [key, text] as const);
  });
}
