/** What the configuration of a broker follows from. */
export interface BrokerSettings {
  /** From 1. */
  readonly id: number;
  readonly nodeCount: number;
  readonly port: number;
  readonly data: string;
  /** KRaft: the controllers of all nodes, `id@host:port`, and the port of this one. */
  readonly kraft?: { readonly voters: string; readonly controllerPort: number };
  /** Kafka 3.9: where its ZooKeeper is, with the root it uses there. */
  readonly zookeeper?: string;
}

/** The user that everybody logs in as: the pipeline, brokers and controllers. */
export const KAFKA_USER = 'millrace';
/** A login of user and password as they are, for loopback: decisions/0020-a-login-for-our-kafka.md. */
export const MECHANISM = 'PLAIN';
const PROTOCOL = 'SASL_PLAINTEXT';
/** Names of the listeners, of clients and other brokers, and of controllers. */
const BROKER = 'BROKER';
const CONTROLLER = 'CONTROLLER';
/** Without these a broker looks for Kerberos. */
const LOGIN_KEYS = {
  'sasl.enabled.mechanisms': MECHANISM,
  'sasl.mechanism.inter.broker.protocol': MECHANISM,
  'sasl.mechanism.controller.protocol': MECHANISM,
};

const MARK = '# Written by millrace: edits are undone by the next run.';
/** Partitions of the topics that brokers keep for themselves: fewer are enough for a pipeline, and start sooner. */
const SYSTEM_PARTITIONS = 4;

/** `server.properties` of a broker. */
export function brokerText(settings: BrokerSettings): string {
  const { nodeCount, port, data } = settings;
  // Three nodes survive the loss of one without losing an acknowledged record; fewer cannot.
  const [replication, insync] = nodeCount >= 3 ? [3, 2] : [nodeCount, 1];
  const client = `${BROKER}://127.0.0.1:${port}`;
  return lines({
    ...(settings.kraft === undefined ? zookeeperKeys(settings, client) : kraftKeys(settings, client)),
    'advertised.listeners': client,
    'inter.broker.listener.name': BROKER,
    ...LOGIN_KEYS,
    'log.dirs': data,
    'default.replication.factor': replication,
    'min.insync.replicas': insync,
    'offsets.topic.replication.factor': replication,
    'offsets.topic.num.partitions': SYSTEM_PARTITIONS,
    'transaction.state.log.replication.factor': replication,
    'transaction.state.log.min.isr': insync,
    'transaction.state.log.num.partitions': SYSTEM_PARTITIONS,
    // Topics are declared by the pipeline; a misspelt one must be an error.
    'auto.create.topics.enable': false,
    // Members come at once when a worker starts, and a lost one is noticed in the time its client asks for.
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    // A killed worker's open transaction holds every reader of committed records until it is aborted: looked for
    // each second instead of each ten.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': 1000,
    'log.cleaner.dedupe.buffer.size': 8_388_608,
    'num.io.threads': 4,
    'num.network.threads': 2,
  });
}

function kraftKeys({ id, nodeCount, kraft }: BrokerSettings, client: string) {
  const [replication, insync] = nodeCount >= 3 ? [3, 2] : [nodeCount, 1];
  return {
    'process.roles': 'broker,controller',
    'node.id': id,
    'controller.quorum.voters': kraft?.voters ?? '',
    'controller.listener.names': CONTROLLER,
    listeners: `${client},${CONTROLLER}://127.0.0.1:${kraft?.controllerPort}`,
    'listener.security.protocol.map': `${CONTROLLER}:${PROTOCOL},${BROKER}:${PROTOCOL}`,
    'share.coordinator.state.topic.replication.factor': replication,
    'share.coordinator.state.topic.min.isr': insync,
    'share.coordinator.state.topic.num.partitions': SYSTEM_PARTITIONS,
    'group.consumer.min.session.timeout.ms': 1000,
    'group.consumer.min.heartbeat.interval.ms': 300,
    // A killed broker's partitions move after this, not after nine seconds. Nobody takes those of a broker alone: it
    // would only lose them whenever it pauses, and what it decides in that moment it never marks (kafka-killed.ts).
    'broker.session.timeout.ms': nodeCount === 1 ? 30_000 : 4000,
  };
}

/** `server.properties` of a node that is a controller alone, on the storage of a broker that does not run. */
export function controllerText({ id, data, kraft }: BrokerSettings): string {
  return lines({
    'process.roles': 'controller',
    'node.id': id,
    'controller.quorum.voters': kraft?.voters ?? '',
    'controller.listener.names': CONTROLLER,
    listeners: `${CONTROLLER}://127.0.0.1:${kraft?.controllerPort}`,
    'listener.security.protocol.map': `${CONTROLLER}:${PROTOCOL}`,
    ...LOGIN_KEYS,
    'log.dirs': data,
  });
}

function zookeeperKeys({ id, zookeeper }: BrokerSettings, client: string) {
  return {
    'broker.id': id,
    listeners: client,
    'listener.security.protocol.map': `${BROKER}:${PROTOCOL}`,
    'zookeeper.connect': zookeeper ?? '',
    'zookeeper.session.timeout.ms': 6000,
  };
}

/**
 * The file that says who may log in, and as whom brokers and controllers do so to each other: of all listeners, and
 * apart from the settings, which may be shown.
 * @param password  base64url, so that nothing in it ends the quotes
 */
export function jaasText(password: string): string {
  return [
    MARK.replace('#', '//'),
    'KafkaServer {',
    '  org.apache.kafka.common.security.plain.PlainLoginModule required',
    `  username="${KAFKA_USER}"`,
    `  password="${password}"`,
    `  user_${KAFKA_USER}="${password}";`,
    '};',
    '',
  ].join('\n');
}

/** Names the file of a broker's log: its configuration is one for all brokers. */
export const LOG_FILE_PROPERTY = 'millrace.log';
const LOG_BYTES_MAX = '16MB';
const LOG_PATTERN = '[%d] %p %m (%c)%n';

/** log4j 2, which Kafka 4 logs with: 16 MB and one older file. */
export const LOG4J2_TEXT = lines({
  status: 'error',
  // Else the last words of a broker that is stopped are lost.
  shutdownHook: 'disable',
  'rootLogger.level': 'info',
  'rootLogger.appenderRef.file.ref': 'File',
  'appender.file.type': 'RollingFile',
  'appender.file.name': 'File',
  'appender.file.fileName': `\${sys:${LOG_FILE_PROPERTY}}`,
  'appender.file.filePattern': `\${sys:${LOG_FILE_PROPERTY}}.%i`,
  'appender.file.layout.type': 'PatternLayout',
  'appender.file.layout.pattern': LOG_PATTERN,
  'appender.file.policies.type': 'Policies',
  'appender.file.policies.size.type': 'SizeBasedTriggeringPolicy',
  'appender.file.policies.size.size': LOG_BYTES_MAX,
  'appender.file.strategy.type': 'DefaultRolloverStrategy',
  'appender.file.strategy.max': 1,
});

/** log4j 1 (reload4j), which Kafka 3.9 and its ZooKeeper log with: bounded alike. */
export const LOG4J_TEXT = lines({
  'log4j.rootLogger': 'INFO, file',
  'log4j.appender.file': 'org.apache.log4j.RollingFileAppender',
  'log4j.appender.file.File': `\${${LOG_FILE_PROPERTY}}`,
  'log4j.appender.file.MaxFileSize': LOG_BYTES_MAX,
  'log4j.appender.file.MaxBackupIndex': 1,
  'log4j.appender.file.layout': 'org.apache.log4j.PatternLayout',
  'log4j.appender.file.layout.ConversionPattern': LOG_PATTERN,
});

function lines(keys: Readonly<Record<string, string | number | boolean>>): string {
  return [MARK, ...Object.entries(keys).map(([key, value]) => `${key}=${value}`), ''].join('\n');
}
