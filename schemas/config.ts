import { Type, type Static } from '@sinclair/typebox'

/** Every setting: an environment variable with its default, bounds and description. `--help` prints them. */
export const Config = Type.Object({
  MY_PORT: Type.Integer({
    default: 10000,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 takes a free one'
  }),
  MY_HOST: Type.String({ default: '::', minLength: 1, description: 'Address to listen on; :: is all, IPv4 and IPv6' }),
  MONGO_URI: Type.String({
    default: '',
    pattern: '^(mongodb(\\+srv)?://.+)?$',
    description:
      'MongoDB that keeps the data, before CLOUD_MONGO_URL; without either, the embedded database is used: ' +
        'mongodb:// or mongodb+srv:// with its options, such as replica set, TLS and credentials'
  }),
  CLOUD_MONGO_URL: Type.String({
    default: '',
    description: 'Host of the MongoDB that keeps the data: a name or an address, not a URI',
    pattern: '^[\\w.:-]*$'
  }),
  CLOUD_MONGO_PORT: Type.Integer({ default: 27017, minimum: 1, maximum: 65535, description: 'Port of that MongoDB' }),
  MONGO_WAIT_S: Type.Number({
    default: 60,
    minimum: 0,
    maximum: 3600,
    description: 'Seconds that the start waits for MongoDB to answer before it fails'
  }),
  CLOUD_SCHEDULER_URL: Type.String({
    default: '',
    description:
      'Host of the Cloud Scheduler; without it, the embedded scheduler is used: a name or an address, not a URI',
    pattern: '^[\\w.:-]*$'
  }),
  CLOUD_SCHEDULER_PORT: Type.Integer({
    default: 10004,
    minimum: 1,
    maximum: 65535,
    description: 'Port of that Cloud Scheduler'
  }),
  SCHEDULER_TIMEOUT_S: Type.Number({
    default: 5,
    minimum: 0.05,
    maximum: 300,
    description: 'Seconds that the Cloud Scheduler has to accept a request'
  }),
  SCHEDULER_CALLBACK_S: Type.Number({
    default: 30,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that the Cloud Scheduler has to call back before it is asked again'
  }),
  SCHEDULER_FALLBACK: Type.String({
    default: 'none',
    enum: ['none', 'embedded'],
    description: 'Scheduler that places jobs while the Cloud Scheduler does not answer'
  }),
  DATA_DIR: Type.String({ default: './data', minLength: 1, description: 'Folder of the embedded database' }),
  LOG_LEVEL: Type.String({
    default: 'info',
    enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    description: 'Lowest level that is logged'
  }),
  CLUSTER_GRACE_S: Type.Number({
    default: 45,
    minimum: 1,
    maximum: 86400,
    description: 'Seconds without a sign of life after which a cluster is inactive'
  }),
  HEARTBEAT_INTERVAL_S: Type.Number({
    default: 15,
    minimum: 1,
    maximum: 3600,
    description: 'Seconds between heartbeats, as announced to clusters on the raw WebSocket channel'
  }),
  REGISTRATION_TIMEOUT_S: Type.Number({
    default: 10,
    minimum: 0.05,
    maximum: 600,
    description: 'Seconds that a new connection of a cluster has to register'
  }),
  PING_INTERVAL_S: Type.Number({
    default: 15,
    minimum: 0.05,
    maximum: 3600,
    description: 'Seconds between WebSocket pings; two without a pong close the channel'
  }),
  COMMAND_RESEND_S: Type.Number({
    default: 20,
    minimum: 0.05,
    maximum: 3600,
    description: 'Seconds after which an unacknowledged command is sent again'
  }),
  SWEEP_S: Type.Number({
    default: 3,
    minimum: 0.05,
    maximum: 60,
    description: 'Seconds between sweeps for commands and channels whose notification was missed'
  }),
  CLUSTER_NETWORKS: Type.String({
    // What is excluded are the metadata services of Amazon, Google and Oracle, which hand out credentials.
    default:
      '10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,127.0.0.0/8,fc00::/7,::1/128,!fd00:ec2::/32,!fd20:ce::/32,!fd00:c1::/32',
    description:
      'Networks in which cluster managers may be called, separated by commas, "!" before one that is excluded; other ' +
        'addresses are never contacted'
  }),
  ALLOWED_ORIGINS: Type.String({
    default: '',
    description:
      'Origins of web pages besides its own that may use the server, such as https://edge.example.com, separated by ' +
        'commas'
  }),
  ALLOWED_HOSTS: Type.String({
    default: '',
    description:
      'Names, separated by commas, under which a server that listens on loopback only may be called, besides ' +
        'localhost, 127.0.0.1 and [::1]'
  }),
  CLUSTER_ANSWER_S: Type.Number({
    default: 15,
    minimum: 0.05,
    maximum: 600,
    description: 'Seconds that a cluster manager has to answer a call'
  }),
  REDEPLOY_AFTER_S: Type.Number({
    default: 15,
    minimum: 0,
    maximum: 600,
    description:
      'Redeploy delay: seconds after a delete before a cluster manager called over HTTP gets the same job again; the ' +
        'default is one heartbeat'
  }),
  PLACEMENT_RETRY_S: Type.Number({
    default: 5,
    minimum: 0.05,
    maximum: 3600,
    description:
      'Seconds between attempts to place unplaced instances, besides the attempts that changes of clusters trigger'
  }),
  FAILOVER_AFTER_S: Type.Number({
    default: 120,
    minimum: 1,
    maximum: 86400,
    description:
      'Seconds without a sign of life after which a cluster is lost and its instances fail over, at least ' +
        'CLUSTER_GRACE_S, which is the default where that is longer'
  }),
  EVICTION_HOLD_SHARE: Type.Number({
    default: 0.5,
    minimum: 0,
    maximum: 1,
    description:
      'Share of the active clusters, of at least 3: if more fall silent within one CLUSTER_GRACE_S, nothing is ' +
        'started elsewhere until FAILOVER_AFTER_S after the next sign of life; 1 turns that off'
  }),
  EVICTION_RATE: Type.Integer({
    default: 10,
    minimum: 1,
    maximum: 100_000,
    description: 'Clusters a minute that are evicted after such a hold, at most'
  }),
  DEADLINE_SCHEDULED_S: Type.Number({
    default: 120,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that an instance may stay CLUSTER_SCHEDULED or NODE_SCHEDULED before it is tried elsewhere'
  }),
  DEADLINE_STARTING_S: Type.Number({
    default: 600,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that an instance may stay CREATING, CREATED or DEPLOYED before it is tried elsewhere'
  }),
  DEADLINE_STOPPED_S: Type.Number({
    default: 120,
    minimum: 0.05,
    maximum: 86400,
    description:
      'Seconds that an instance may stay FAILED, DEAD or without a worker node before it is tried elsewhere: its ' +
        'cluster may restart it'
  }),
  DEADLINE_MOVE_S: Type.Number({
    default: 300,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that a moved instance has to run at its target before the move fails and the source stays'
  }),
  DEADLINE_ROLLOUT_S: Type.Number({
    default: 600,
    minimum: 0.05,
    maximum: 86400,
    description:
      'Seconds that an update has to get through all instances before it is rolled back, unless the descriptor sets ' +
        'a deadline'
  }),
  ADDRESS_HOLD_H: Type.Number({
    default: 24,
    minimum: 0,
    maximum: 87600,
    description:
      'Hours for which a cluster that does not confirm a removal holds the addresses; then the job is UNDEPLOYED, ' +
        'and the cluster still gets the command when it is back'
  }),
  MAX_START_ATTEMPTS: Type.Integer({
    default: 5,
    minimum: 1,
    maximum: 100,
    description: 'Failed starts after which an instance is given up and stays FAILED'
  }),
  RECONCILE_S: Type.Number({
    default: 30,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds between drift checks, which compare what a cluster reports with what it should run'
  }),
  LEASE_S: Type.Number({
    default: 9,
    minimum: 1,
    maximum: 3600,
    description: 'Seconds after which another System Manager takes over from one that died, at most a third more'
  }),
  LOOP_STUCK_S: Type.Number({
    default: 300,
    minimum: 0.05,
    maximum: 86400,
    description: 'Seconds that one turn of a background loop may take before /healthz answers 503'
  }),
  SUBNETS_PER_ADDRESS: Type.Integer({
    default: 1024,
    minimum: 1,
    maximum: 12288,
    description: 'Subnets for worker nodes that one remote address may be given'
  }),
  MAX_INSTANCES_PER_REQUEST: Type.Integer({
    default: 5000,
    minimum: 1,
    maximum: 100_000,
    description: 'Instances that one request may ask for, summed over its services'
  }),
  MAX_ADDRESSES_PER_NAMESPACE: Type.Integer({
    default: 50_000,
    minimum: 1,
    maximum: 65_534,
    description: 'Service and instance addresses that the jobs of one app_ns may have'
  }),
  MAX_JOBS_PER_NAMESPACE: Type.Integer({
    default: 20_000,
    minimum: 1,
    maximum: 65_534,
    description: 'Jobs that one app_ns may have, without undeployed ones'
  }),
  JOB_RETENTION_H: Type.Number({
    default: 168,
    minimum: 0,
    maximum: 87600,
    description: 'Hours for which an undeployed job and its events are kept'
  })
})
export type Config = Static<typeof Config>
