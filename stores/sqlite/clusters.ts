import { ObjectId } from 'bson'
import { asCluster, asPlacementView, type Cluster, type PlacementView } from '../../schemas/cluster.js'
import { NO_MAINTENANCE } from '../../schemas/cluster-facts.js'
import { parseStored } from '../../schemas/primitives.js'
import type { ClusterSign, ClusterStore, MaintenanceFields } from '../store.js'
import type { Connection } from './connection.js'
import { readPage } from './pages.js'

/** A row of clusters: JSON text where the cluster has lists and objects. */
type ClusterRow =
  & Omit<Cluster, 'clusterinfo' | 'technology' | 'more' | 'workers' | 'warnings' | keyof MaintenanceFields>
  & {
    clusterinfo: string
    technology: string | null
    more: string
    workers: string | null
    warnings: string
    maintenance: string
  }

const COLUMNS =
  `id, cluster_name, ip, port, network_component_port, registered_over, delivery, clusterinfo, cluster_location, nodes,
  active_nodes, aggregated_cpu_percent, total_cpu_cores, aggregated_memory_percent, memory_in_mb, technology, more,
  workers, warnings, maintenance, registered_at, last_heartbeat_at, last_modified_timestamp`

/** One that is not JSON must not spoil what is read of the others. */
const MAINTENANCE = "iif(json_valid(maintenance), maintenance, '{}')"

export function createClusterStore ({ prepare, read, write, documents }: Connection): ClusterStore {
  const upsert = prepare<ClusterRow>(`
    INSERT INTO clusters (id, cluster_name, ip, port, network_component_port, registered_over, delivery, clusterinfo,
      cluster_location, registered_at, last_modified_timestamp)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (cluster_name) DO UPDATE SET
      ip = excluded.ip, port = excluded.port,
      network_component_port = excluded.network_component_port, registered_over = excluded.registered_over,
      delivery = excluded.delivery,
      clusterinfo = excluded.clusterinfo, cluster_location = excluded.cluster_location,
      last_modified_timestamp = excluded.last_modified_timestamp
    RETURNING ${COLUMNS}`)
  // One statement on the hottest path: a figure that is absent comes as NULL and keeps its value.
  const beat = prepare(`
    UPDATE clusters SET
      aggregated_cpu_percent = coalesce(?, aggregated_cpu_percent),
      total_cpu_cores = coalesce(?, total_cpu_cores),
      aggregated_memory_percent = coalesce(?, aggregated_memory_percent),
      memory_in_mb = coalesce(?, memory_in_mb),
      active_nodes = coalesce(?, active_nodes),
      technology = coalesce(?, technology),
      workers = coalesce(?, workers),
      more = coalesce(?, more),
      warnings = ?,
      last_heartbeat_at = ?,
      last_modified_timestamp = ?
    WHERE id = ?`)
  const touch = prepare('UPDATE clusters SET last_modified_timestamp = ? WHERE id = ?')
  const addNodes = prepare<{ nodes: number }>(
    'UPDATE clusters SET nodes = max(0, nodes + ?) WHERE id = ? RETURNING nodes'
  )
  const setNodes = prepare<{ nodes: number }>('UPDATE clusters SET nodes = max(0, ?) WHERE id = ? RETURNING nodes')
  // A null in the patch takes the field away, and what is not there is null.
  const update = prepare('UPDATE clusters SET maintenance = json_patch(maintenance, ?) WHERE id = ?')
  const select = prepare<ClusterRow>(`SELECT ${COLUMNS} FROM clusters WHERE id = ?`)
  const selectPage = prepare<ClusterRow>(`
    SELECT ${COLUMNS} FROM clusters WHERE id > ? ORDER BY id LIMIT ? OFFSET ?`)
  const selectMany = prepare<ClusterRow>(`
    SELECT ${COLUMNS} FROM clusters WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id`)
  const selectPlacement = prepare<PlacementRow>(`
    SELECT id, cluster_name, cluster_location, registered_over, active_nodes, total_cpu_cores, memory_in_mb, technology,
      iif(coalesce(json_extract(${MAINTENANCE}, '$.scheduling'), 'active') <> 'active' OR
        json_extract(${MAINTENANCE}, '$.lost_at') IS NOT NULL, NULL, workers) AS workers,
      maintenance, last_heartbeat_at, last_modified_timestamp
    FROM clusters ORDER BY id`)
  const selectSigns = prepare<Record<'lost' | 'evicted', 0 | 1> & Omit<ClusterSign, 'lost' | 'evicted'>>(`
    SELECT id, last_modified_timestamp, json_extract(${MAINTENANCE}, '$.lost_at') IS NOT NULL AS lost,
      json_extract(${MAINTENANCE}, '$.evicted_at') IS NOT NULL AS evicted
    FROM clusters`)
  const selectAt = prepare<ClusterRow>(
    `SELECT ${COLUMNS} FROM clusters WHERE id = ?1 OR cluster_name = ?1 OR cluster_location = ?1 ORDER BY id`
  )
  // Its outbox and the claim to its channel go with it, by the foreign keys.
  const remove = prepare('DELETE FROM clusters WHERE id = ?')

  /** The cluster that was asked for; throws `cluster_unreadable`. */
  function toCluster (row: ClusterRow): Cluster {
    return documents.one({ kind: 'cluster', id: row.id }, () => parsed(row))
  }

  /** One cluster of many. */
  function toClusterOfMany (row: ClusterRow): Cluster | undefined {
    return documents.ofMany({ kind: 'cluster', id: row.id }, () => parsed(row))
  }

  const readable = (rows: ClusterRow[]) => rows.map(toClusterOfMany).filter(cluster => cluster !== undefined)

  return {
    register: (identity, now) =>
      write(() =>
        toCluster(
          upsert.get(
            new ObjectId().toHexString(),
            identity.cluster_name,
            identity.ip,
            identity.port,
            identity.network_component_port,
            identity.registered_over,
            identity.delivery,
            JSON.stringify(identity.clusterinfo),
            identity.cluster_location,
            new Date(now).toISOString(),
            now / 1000
          )!
        )
      ),

    heartbeat: (id, figures, now) =>
      write(() =>
        beat.run(
          figures.aggregated_cpu_percent ?? null,
          figures.total_cpu_cores ?? null,
          figures.aggregated_memory_percent ?? null,
          figures.memory_in_mb ?? null,
          figures.active_nodes ?? null,
          jsonOrNull(figures.technology),
          jsonOrNull(figures.workers),
          jsonOrNull(figures.more),
          JSON.stringify(figures.warnings),
          new Date(now).toISOString(),
          now / 1000,
          id
        ).changes > 0, { durable: false }),

    touch: (id, now) => write(() => touch.run(now / 1000, id).changes > 0, { durable: false }),

    addNodes: (id, delta) => write(() => addNodes.get(delta, id)?.nodes),

    setNodes: (id, count) => write(() => setNodes.get(count, id)?.nodes),

    update: (id, fields) => write(() => update.run(JSON.stringify(fields), id).changes > 0),

    get: id =>
      read(() => {
        const row = select.get(id)
        return row && toCluster(row)
      }),

    getMany: ids => read(() => readable(selectMany.all(JSON.stringify(ids)))),

    list: ({ after = '', limit }) =>
      read(() => readPage((limit, offset) => selectPage.all(after, limit, offset), toClusterOfMany, limit)),

    placementViews: () =>
      read(() =>
        selectPlacement.all().map(row =>
          documents.ofMany({ kind: 'cluster', id: row.id }, () => placementView(row))
        ).filter(view => view !== undefined)
      ),

    signs: () =>
      read(() => selectSigns.all().map(row => ({ ...row, lost: row.lost === 1, evicted: row.evicted === 1 }))),

    at: place => read(() => readable(selectAt.all(place))),

    remove: id => write(() => remove.run(id).changes > 0)
  }
}

type PlacementRow =
  & Pick<ClusterRow, Exclude<keyof PlacementView, 'scheduling' | 'losses' | 'recovered_at'>>
  & Pick<ClusterRow, 'maintenance'>

function placementView ({ maintenance, ...row }: PlacementRow): PlacementView {
  const { scheduling, losses, recovered_at } = { ...NO_MAINTENANCE, ...parseStored(maintenance) as object }
  return asPlacementView({
    ...row,
    scheduling,
    losses,
    recovered_at,
    technology: parsedOrNull(row.technology),
    workers: parsedOrNull(row.workers)
  })
}

function parsed (row: ClusterRow): Cluster {
  const { maintenance, ...columns } = row
  return asCluster({
    ...columns,
    ...NO_MAINTENANCE,
    ...parseStored(maintenance) as object,
    clusterinfo: parseStored(row.clusterinfo),
    technology: parsedOrNull(row.technology),
    more: parseStored(row.more),
    workers: parsedOrNull(row.workers),
    warnings: parseStored(row.warnings)
  })
}

const parsedOrNull = (text: string | null) => text === null ? null : parseStored(text)

/** A figure that was not reported is NULL; one that was reported as null is the text of it. */
function jsonOrNull (value: unknown): string | null {
  return value === undefined ? null : JSON.stringify(value)
}
