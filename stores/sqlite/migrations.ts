import type { Database } from './database.js'

/**
 * The schema, step by step. A file records in `user_version` how many of them it has seen, so a step that was
 * released is never changed; a change of the schema is a new step.
 */
export const MIGRATIONS: readonly string[] = [
  `
  -- JSON text: clusterinfo, technology, more, workers, warnings, upkeep.
  CREATE TABLE clusters (
    id TEXT PRIMARY KEY,
    cluster_name TEXT NOT NULL UNIQUE,
    ip TEXT NOT NULL,
    port INTEGER,
    network_component_port INTEGER,
    delivery TEXT NOT NULL,
    clusterinfo TEXT NOT NULL,
    cluster_location TEXT,
    nodes INTEGER NOT NULL DEFAULT 0,
    active_nodes INTEGER,
    aggregated_cpu_percent REAL,
    total_cpu_cores REAL,
    aggregated_memory_percent REAL,
    memory_in_mb REAL,
    technology TEXT,
    more TEXT NOT NULL DEFAULT 'null',
    workers TEXT,
    warnings TEXT NOT NULL DEFAULT '[]',
    registered_at TEXT NOT NULL,
    last_heartbeat_at TEXT,
    last_modified_timestamp REAL NOT NULL,
    acked_seq INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL DEFAULT 0,
    upkeep TEXT NOT NULL DEFAULT '{}'
  ) STRICT;
  CREATE INDEX clusters_by_location ON clusters (cluster_location);
  CREATE INDEX clusters_by_sign_of_life ON clusters (last_modified_timestamp);

  -- Commands not settled yet. job is the job document of the contract, where the kind of command carries one.
  CREATE TABLE outbox (
    cluster_id TEXT NOT NULL REFERENCES clusters (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    command TEXT NOT NULL,
    job TEXT,
    PRIMARY KEY (cluster_id, seq)
  ) STRICT;

  -- doc is the whole job, contract its document as GET /api/jobs lists it; the other columns are what is looked up.
  -- The two come last: the others are read without them.
  CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    job_name TEXT NOT NULL,
    underscored_name TEXT NOT NULL,
    app_name TEXT NOT NULL,
    app_ns TEXT NOT NULL,
    -- The name while the job is wanted; free for another one from then on.
    live_name TEXT UNIQUE,
    status TEXT NOT NULL,
    unplaced INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    due_at TEXT,
    doc TEXT NOT NULL,
    contract TEXT NOT NULL
  ) STRICT;
  CREATE INDEX jobs_by_name ON jobs (job_name, created_at, id);
  CREATE INDEX jobs_by_underscored_name ON jobs (underscored_name, created_at, id);
  CREATE INDEX jobs_by_app ON jobs (app_name, app_ns, id);
  CREATE INDEX jobs_by_status ON jobs (status, id);
  CREATE INDEX jobs_unplaced ON jobs (id) WHERE unplaced = 1;
  CREATE INDEX jobs_due ON jobs (due_at) WHERE due_at IS NOT NULL;
  CREATE INDEX jobs_undeployed ON jobs (updated_at) WHERE status = 'UNDEPLOYED';

  -- Drawn from the job's instance_list; while an instance moves, it is on two clusters.
  -- on_the_way: placed but not RUNNING yet, so cpu and memory are spoken for.
  CREATE TABLE instances (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    instance_number INTEGER NOT NULL,
    cluster_id TEXT NOT NULL,
    status TEXT NOT NULL,
    on_the_way INTEGER NOT NULL,
    cpu REAL NOT NULL,
    memory REAL NOT NULL,
    PRIMARY KEY (job_id, instance_number, cluster_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX instances_by_cluster ON instances (cluster_id, status) WHERE cluster_id <> '';
  CREATE INDEX instances_on_the_way ON instances (cluster_id, cpu, memory) WHERE on_the_way = 1;

  -- Drawn from the job's retiring.
  CREATE TABLE retiring (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    cluster_id TEXT NOT NULL,
    PRIMARY KEY (job_id, cluster_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX retiring_by_cluster ON retiring (cluster_id);

  CREATE TABLE events (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    id INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (job_id, id)
  ) STRICT, WITHOUT ROWID;

  -- Addresses as their place in 172.30.0.0/16, 172.30.1.2 being 258.
  CREATE TABLE addresses (
    address INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL
  ) STRICT;
  CREATE INDEX addresses_by_job ON addresses (job_id);

  -- Given back, in turn.
  CREATE TABLE freed_addresses (
    turn INTEGER PRIMARY KEY,
    address INTEGER NOT NULL UNIQUE
  ) STRICT;

  -- The row outlives the session, so that the numbers of claims go on rising; then it has no holder.
  CREATE TABLE channels (
    cluster_id TEXT PRIMARY KEY REFERENCES clusters (id) ON DELETE CASCADE,
    holder TEXT,
    claim INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- expires_at in Unix milliseconds.
  CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    token INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO counters (name, value) VALUES ('next_address', 1), ('next_subnet', 0), ('checks', 0);
  `,
  `
  ALTER TABLE clusters RENAME COLUMN upkeep TO maintenance;
  CREATE INDEX clusters_not_lost ON clusters (last_modified_timestamp)
    WHERE json_extract(maintenance, '$.lost_at') IS NULL;
  CREATE INDEX clusters_lost ON clusters (last_modified_timestamp)
    WHERE json_extract(maintenance, '$.lost_at') IS NOT NULL;
  `,
  "CREATE INDEX outbox_by_job ON outbox (command ->> 'job_id');",
  `
  ALTER TABLE clusters ADD COLUMN registered_over TEXT NOT NULL DEFAULT 'channel';
  UPDATE clusters SET registered_over = 'socket.io' WHERE delivery = 'http';
  `,
  `
  DROP INDEX clusters_by_sign_of_life;
  DROP INDEX clusters_not_lost;
  DROP INDEX clusters_lost;
  UPDATE clusters SET maintenance = json_set(maintenance, '$.evicted_at', json_extract(maintenance, '$.lost_at'))
    WHERE json_extract(maintenance, '$.lost_at') IS NOT NULL;

  ALTER TABLE instances ADD COLUMN host_port TEXT;
  UPDATE instances SET host_port = (
    SELECT iif(instr(port, ':') > 0, substr(port, 1, instr(port, ':') - 1) || '/tcp', NULL)
    FROM (SELECT iif(json_valid(doc), doc ->> '$.descriptor.port', NULL) AS port FROM jobs WHERE id = job_id));
  -- What is being removed says so. It is due, so that its true deadline is noted.
  UPDATE jobs SET status = 'UNDEPLOYING', due_at = updated_at,
    contract = iif(json_valid(contract), json_set(contract, '$.status', 'UNDEPLOYING'), contract)
    WHERE live_name IS NULL AND status <> 'UNDEPLOYED';

  CREATE INDEX instances_by_host_port ON instances (host_port, cluster_id) WHERE host_port IS NOT NULL;
  `,
  `
  -- Also in the marker beside the file. running: a server has it open, or died with it.
  CREATE TABLE identity (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id TEXT NOT NULL,
    count INTEGER NOT NULL,
    running INTEGER NOT NULL
  ) STRICT;

  -- Earlier descriptors, which the documents of their jobs do not carry.
  CREATE TABLE descriptors (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL,
    doc TEXT NOT NULL,
    PRIMARY KEY (job_id, generation)
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX jobs_by_namespace ON jobs (app_ns) WHERE status <> 'UNDEPLOYED';

  -- Subnets by their number, that of 172.18.0.64 being 1. Those given out before have no row.
  CREATE TABLE subnets (
    number INTEGER PRIMARY KEY,
    address TEXT NOT NULL,
    given_at TEXT NOT NULL
  ) STRICT;
  CREATE INDEX subnets_by_address ON subnets (address);

  -- Given back, in turn.
  CREATE TABLE freed_subnets (
    turn INTEGER PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE
  ) STRICT;
  `
]

/**
 * Brings a file to the newest schema, each step in a transaction of its own: a crash in between is carried on from
 * there. Throws for a file of a newer System Manager, which this one would damage.
 */
export function migrate (db: Database, migrations: readonly string[] = MIGRATIONS): { from: number, to: number } {
  const { user_version: from } = db.prepare<{ user_version: number }>('PRAGMA user_version').get()!
  const to = migrations.length
  if (from > to) {
    throw new Error(
      `its schema has version ${from}, written by a newer System Manager; this one knows versions up to ${to}`
    )
  }
  for (const [index, step] of migrations.entries()) {
    if (index < from) continue
    try {
      db.exec(`BEGIN IMMEDIATE; ${step}; PRAGMA user_version = ${index + 1}; COMMIT`)
    } catch (err) {
      if (db.isTransaction) db.exec('ROLLBACK')
      throw err
    }
  }
  return { from, to }
}
