import { randomUUID } from 'node:crypto'
import { Double, ObjectId, type Filter, type UpdateFilter } from 'mongodb'
import type { Cluster, ClusterId } from '../../schemas/cluster.js'
import type { ClusterIdentity, ClusterStore } from '../store.js'
import { FIGURES, SIGN, toCluster, toNumber, toSign, UNTOLD } from './cluster-document.js'
import type { ClusterDocument } from './collections.js'
import type { Connection } from './connection.js'
import { isDuplicateKey, isOutage, isUnsafe } from './failures.js'
import { toObjectId } from './ids.js'
import { readPage } from './pages.js'
import { createRetries } from './retries.js'
import { storable } from './storable.js'

/**
 * The original left documents of clusters that never registered: figures of a heartbeat and no name. They are no
 * clusters.
 */
const REGISTERED: Filter<ClusterDocument> = { cluster_name: { $exists: true } }

/** What placement does not need of a document, and may be large. */
const WITHOUT_FREE_FORM = {
  clusterinfo: 0,
  more: 0,
  'system_manager.warnings': 0,
  'system_manager.unknown_jobs': 0
}

const takesNothing = ({ scheduling, lost_at: lostAt }: Cluster) => scheduling !== 'active' || lostAt !== null

/** A heartbeat need not be on more than one disk: the next one brings the same. */
const NOT_WAITED_FOR = { writeConcern: { w: 1, journal: false } }

export function createClusterStore ({ collections: { clusters, outbox }, documents, log }: Connection): ClusterStore {
  const byId = (id: ClusterId): Filter<ClusterDocument> => ({ _id: toObjectId(id), ...REGISTERED })

  async function register (identity: ClusterIdentity, now: number): Promise<Cluster> {
    const update: UpdateFilter<ClusterDocument> = {
      $set: {
        ip: identity.ip,
        // The original's documents have it as text (contract section 7).
        port: String(identity.port ?? ''),
        clusterinfo: storable(identity.clusterinfo),
        cluster_location: identity.cluster_location,
        'system_manager.network_component_port': identity.network_component_port,
        'system_manager.registered_over': identity.registered_over,
        'system_manager.delivery': identity.delivery,
        'system_manager.seen_at': new Double(now / 1000)
      },
      $setOnInsert: {
        _id: new ObjectId(),
        nodes: 0,
        ...UNTOLD,
        last_modified: new Date(now),
        'system_manager.registered_at': new Date(now).toISOString()
      }
    }
    const retry = createRetries(`The cluster ${identity.cluster_name}`)
    for (;;) {
      try {
        return readOne(
          (await clusters.findOneAndUpdate({ cluster_name: identity.cluster_name }, update, {
            upsert: true,
            returnDocument: 'after'
          }))!
        )
      } catch (err) {
        // Another one has just inserted it: the next try finds it.
        if (!isDuplicateKey(err)) throw err
        await retry(err)
      }
    }
  }

  /** Also where the original left a string, or nothing: such a count cannot be added to in one step. */
  async function addNodes (id: ClusterId, delta: number): Promise<number | undefined> {
    const retry = createRetries(`The count of nodes of ${id}`)
    for (;;) {
      const added = await increment(id, delta)
      if (added) return added.nodes as number
      const found = await clusters.findOne(byId(id), { projection: { nodes: 1 } })
      if (!found) return undefined
      const nodes = Math.max(0, (toNumber(found.nodes) ?? 0) + delta)
      const { matchedCount } = await clusters.updateOne({ ...byId(id), nodes: found.nodes ?? null }, {
        $set: { nodes }
      })
      if (matchedCount > 0) return nodes
      await retry()
    }
  }

  /** Null where the count is none that can be added to. */
  async function increment (id: ClusterId, delta: number): Promise<ClusterDocument | null> {
    const change = randomUUID()
    const projection = { nodes: 1 }
    try {
      return await clusters.findOneAndUpdate({ ...byId(id), nodes: { $gte: Math.max(0, -delta) } }, {
        $inc: { nodes: delta },
        $set: { 'system_manager.nodes_change': change }
      }, { returnDocument: 'after', projection })
    } catch (err) {
      if (!isOutage(err) || isUnsafe(err)) throw err
      // Told that it failed, its sender would add them once more.
      const [done] = await clusters.look({ ...byId(id), 'system_manager.nodes_change': change }, { projection })
      if (!done) throw err
      return done
    }
  }

  const about = ({ _id }: ClusterDocument) => ({ kind: 'cluster' as const, id: String(_id) })

  /** The cluster that was asked for; throws `cluster_unreadable`. */
  function readOne (document: ClusterDocument): Cluster {
    return documents.one(about(document), () => toCluster(document))
  }

  /** Clusters in order of id, after `after`. */
  async function page (filter: Filter<ClusterDocument>, after: ClusterId = '', limit = 0): Promise<Cluster[]> {
    return await readPage(
      // Also keeps away what has an id of another kind, which cannot be a cluster.
      (before: ClusterDocument | undefined, most) =>
        clusters.findMany({ $and: [{ ...REGISTERED, _id: { $gt: before?._id ?? toObjectId(after) } }, filter] }, {
          sort: { _id: 1 },
          limit: most
        }),
      document => documents.ofMany(about(document), () => toCluster(document)),
      limit
    )
  }

  return {
    register,

    async heartbeat (id, { workers, warnings, ...figures }, now) {
      const at = new Date(now)
      const { matchedCount } = await clusters.updateOne(byId(id), {
        $set: {
          ...storable(figures) as typeof figures,
          ...Object.fromEntries(
            FIGURES.filter(name => figures[name] !== undefined).map(name => [`system_manager.told.${name}`, true])
          ),
          ...(workers !== undefined && { 'system_manager.workers': storable(workers) }),
          'system_manager.warnings': warnings,
          last_modified: at,
          last_modified_timestamp: new Double(now / 1000),
          'system_manager.seen_at': new Double(now / 1000),
          'system_manager.last_heartbeat_at': at.toISOString()
        }
      }, NOT_WAITED_FOR)
      return matchedCount > 0
    },

    async touch (id, now) {
      const { matchedCount } = await clusters.updateOne(byId(id), {
        $set: { 'system_manager.seen_at': new Double(now / 1000) }
      }, NOT_WAITED_FOR)
      return matchedCount > 0
    },

    addNodes,

    async setNodes (id, count) {
      const nodes = Math.max(0, count)
      const { matchedCount } = await clusters.updateOne(byId(id), { $set: { nodes } })
      return matchedCount > 0 ? nodes : undefined
    },

    async get (id) {
      const found = await clusters.findOne(byId(id))
      return found ? readOne(found) : undefined
    },

    async update (id, fields) {
      const set = Object.fromEntries(Object.entries(fields).map(([name, value]) => [`system_manager.${name}`, value]))
      if (Object.keys(set).length === 0) return await clusters.countDocuments(byId(id)) > 0
      const { matchedCount } = await clusters.updateOne(byId(id), { $set: set })
      return matchedCount > 0
    },

    getMany: ids => page({ _id: { $in: ids.map(toObjectId) } }),

    list: ({ after, limit }) => page({}, after, limit),

    async placementViews () {
      const found = await clusters.findMany(REGISTERED, { projection: WITHOUT_FREE_FORM, sort: { _id: 1 } })
      return found.filter(({ _id }) => _id instanceof ObjectId)
        .map(document => documents.ofMany(about(document), () => toCluster(document)))
        .filter(cluster => cluster !== undefined)
        .map(cluster => takesNothing(cluster) ? { ...cluster, workers: null } : cluster)
    },

    async signs () {
      const found = await clusters.findMany(REGISTERED, { projection: SIGN })
      return found.filter(({ _id }) => _id instanceof ObjectId).map(toSign)
    },

    at: place => page({ $or: [{ _id: toObjectId(place) }, { cluster_name: place }, { cluster_location: place }] }),

    async remove (id) {
      const { deletedCount } = await clusters.deleteOne(byId(id))
      if (deletedCount === 0) return false
      // It is gone: should this fail, a sweep does it (see maintenance.ts).
      await outbox.deleteMany({ cluster_id: id }).catch((err: unknown) =>
        log.debug({ err }, 'the commands of a cluster that was removed are forgotten later')
      )
      return true
    }
  }
}
