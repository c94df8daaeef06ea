import { EventEmitter } from 'node:events'
import type { Static } from '@sinclair/typebox'
import ipaddr from 'ipaddr.js'
import type { Cluster, ClusterId, ClusterRegistration, Heartbeat } from '../../schemas/cluster.js'
import { ApiError } from '../../schemas/errors.js'
import type { JobId } from '../../schemas/job.js'
import { isHexId, toName } from '../../schemas/primitives.js'
import type { Store } from '../../stores/store.js'
import { figuresOf } from './figures.js'
import type { Liveness } from './liveness.js'
import { readWords, type Word } from '../../schemas/words.js'

/** What other services may listen to. */
interface RegistryEvents {
  /** A cluster registered over another way than the last time. */
  kind: [Cluster]
  /** A cluster registered or sent figures: what could not be placed may find room now. */
  alive: [ClusterId]
  /** Another machine, perhaps, took over the name of a cluster while it was in use. */
  takeover: [Cluster]
  /** A cluster was deleted by its operator. */
  removed: [ClusterId]
}

/**
 * Who the clusters are, their workers, and whether they are alive. Ids that are not 24 hex digits:
 * `cluster_id_malformed`; unknown ones: `cluster_not_found`.
 *
 * A `ref` is the id of a cluster, its name, or its location where no other cluster is there. A location of several:
 * `cluster_location_ambiguous`.
 */
export interface ClusterRegistry {
  events: EventEmitter<RegistryEvents>
  liveness: Liveness
  /** Takes in what other processes heard of the clusters: to repeat within a fraction of the grace time. */
  observe (): Promise<void>
  /**
   * Registers or re-registers by name (contract section 5). `remoteAddress` counts where the cluster advertises none.
   * One that came over the channel may be behind NAT: it is called by HTTP only if it advertises an address. Over
   * Socket.IO another address is refused while the cluster at the former one is active: `cluster_name_in_use`.
   */
  register (registration: ClusterRegistration, remoteAddress: string, over: 'channel' | 'socket.io'): Promise<Cluster>
  /**
   * Records the figures of a heartbeat. Gives back its job entries that can be understood; the others are kept as
   * warnings on the cluster, and the heartbeat still counts (contract section 2).
   */
  heartbeat (id: ClusterId, body: Heartbeat): Promise<{ words: ReadonlyMap<JobId, Word>, warnings: string[] }>
  /** A session from this address replaces one of the cluster that still answers. */
  sessionReplaced (cluster: Cluster, address: string): Promise<void>
  /** A sign of life without figures: a pong on the channel. */
  touch (id: ClusterId): Promise<void>
  /** Changes the worker count by `delta`, never below 0. */
  addNodes (id: ClusterId, delta: number): Promise<number>
  setNodes (id: ClusterId, count: number): Promise<number>
  get (id: ClusterId): Promise<Cluster>
  /** None: `cluster_not_found`. */
  find (ref: string): Promise<Cluster>
  /**
   * The id that is meant. An id is given back as it is, though there may be no such cluster: messages of clusters cost
   * no look-up. @param unknown Error for what is neither an id, a name nor a location.
   */
  idOf (ref: string, unknown?: 'cluster_not_found' | 'cluster_id_malformed'): Promise<ClusterId>
  /** In order of id. `active` keeps those with a sign of life within the grace time. */
  list (query?: { active?: boolean, after?: ClusterId, limit?: number }): Promise<Cluster[]>
  /** The cluster of exactly this name, in its one form ({@link toName}). */
  named (name: string): Promise<Cluster | undefined>
  /** The clusters with this location, name or id; at least one. None: `cluster_not_found`. */
  at (place: string): Promise<Cluster[]>
  /** Forgets a cluster. */
  remove (id: ClusterId): Promise<void>
}

/** Clusters read at a time. */
const PAGE = 200

export function createClusterRegistry ({ clusters }: Pick<Store, 'clusters'>, liveness: Liveness): ClusterRegistry {
  const events = new EventEmitter<RegistryEvents>()

  /** A page of those that are active, which may lie far apart. */
  async function listActive ({ after, limit = Infinity }: { after?: ClusterId, limit?: number }): Promise<Cluster[]> {
    const active: Cluster[] = []
    for (let from = after; ;) {
      const page = await clusters.list({ limit: PAGE, ...(from !== undefined && { after: from }) })
      active.push(...page.filter(liveness.isActive))
      if (page.length < PAGE || active.length >= limit) return active.slice(0, limit)
      from = page.at(-1)!.id
    }
  }

  async function named (name: string): Promise<Cluster | undefined> {
    return (await clusters.at(name)).find(isNamed(name))
  }

  async function at (place: string): Promise<Cluster[]> {
    const found = await clusters.at(toName(place))
    if (found.length > 0) return found
    throw new ApiError('cluster_not_found', `No cluster has the location, name or id ${place}`, {
      hint: 'GET /api/v1/clusters lists them'
    })
  }

  async function find (ref: string): Promise<Cluster> {
    if (isHexId(ref)) return await clusters.get(ref) ?? fail(notFound(ref))
    const found = await at(ref)
    const [only, second] = found
    const named = found.find(isNamed(toName(ref))) ?? (second ? undefined : only)
    if (named) return named
    throw new ApiError('cluster_location_ambiguous', `${found.length} clusters are at ${ref}`, {
      hint: `Give the name or the id of one: ${found.slice(0, 5).map(({ cluster_name: name }) => name).join(', ')}`
    })
  }

  async function noteTakeover (cluster: Cluster, from: string, to: string): Promise<void> {
    const takeover = { at: new Date().toISOString(), from, to }
    await clusters.update(cluster.id, { takeover })
    events.emit('takeover', { ...cluster, takeover })
  }

  return {
    events,
    liveness,

    observe: () => liveness.observe(() => clusters.signs()),

    async register (registration, remoteAddress, over) {
      const now = Date.now()
      const ip = registration.advertise_address ?? withoutIpv4Mapping(remoteAddress)
      const before = await named(registration.cluster_name)
      const isElsewhere = before !== undefined && before.ip !== ip
      const wasActive = before !== undefined && liveness.isActive(before)
      if (isElsewhere && wasActive && over === 'socket.io') {
        throw new ApiError('cluster_name_in_use', `${before.cluster_name} is active at ${before.ip}`, {
          hint: 'Give this cluster a name of its own, or wait until the other one is silent'
        })
      }
      const cluster = await clusters.register({
        cluster_name: registration.cluster_name,
        ip,
        port: asPort(registration.manager_port ?? registration.port),
        network_component_port: asPort(registration.network_component_port),
        registered_over: over,
        delivery: over === 'channel' && !registration.advertise_address ? 'channel' : 'http',
        clusterinfo: registration.cluster_info ?? null,
        // An empty location would match a descriptor that asks for none.
        cluster_location: registration.cluster_location || null
      }, now)
      liveness.heard(cluster.id, now)
      if (before && before.registered_over !== over) events.emit('kind', cluster)
      events.emit('alive', cluster.id)
      // Over the other way, too, it may be another machine.
      const isOther = wasActive && before.registered_over !== over
      if (before && (isOther || (isElsewhere && (wasActive || over === 'socket.io')))) {
        await noteTakeover(cluster, before.ip, ip)
      }
      return cluster
    },

    sessionReplaced: (cluster, address) => {
      const here = withoutIpv4Mapping(address)
      return noteTakeover(cluster, here, here)
    },

    async heartbeat (id, body) {
      checkId(id)
      const { words, warnings: ofJobs } = readWords(body.jobs ?? [])
      const { figures, warnings: ofFigures } = figuresOf(body)
      const warnings = [...ofFigures, ...ofJobs]
      const now = Date.now()
      if (!await clusters.heartbeat(id, { ...figures, warnings }, now)) throw notFound(id)
      liveness.heard(id, now)
      events.emit('alive', id)
      return { words, warnings }
    },

    async touch (id) {
      const now = Date.now()
      if (await clusters.touch(id, now)) liveness.heard(id, now)
    },

    async addNodes (id, delta) {
      checkId(id)
      return await clusters.addNodes(id, delta) ?? fail(notFound(id))
    },

    async setNodes (id, count) {
      checkId(id)
      return await clusters.setNodes(id, count) ?? fail(notFound(id))
    },

    async get (id) {
      checkId(id)
      return await clusters.get(id) ?? fail(notFound(id))
    },

    find,

    async idOf (ref, unknown = 'cluster_not_found') {
      if (isHexId(ref)) return ref
      try {
        return (await find(ref)).id
      } catch (err) {
        if (err instanceof ApiError && err.code === 'cluster_not_found' && unknown !== err.code) checkId(ref)
        throw err
      }
    },

    list: ({ active, ...page } = {}) => active ? listActive(page) : clusters.list(page),

    named,

    at,

    async remove (id) {
      checkId(id)
      if (!await clusters.remove(id)) throw notFound(id)
      liveness.forget(id)
      events.emit('removed', id)
    }
  }
}

const isNamed = (name: string) => (cluster: Cluster) => cluster.cluster_name === name

function asPort (port: Static<typeof ClusterRegistration>['port']): number | null {
  return port === undefined || port === null ? null : Number(port)
}

/** A dual-stack socket shows IPv4 peers as ::ffff:1.2.3.4; cluster managers are called at the plain form. */
function withoutIpv4Mapping (address: string): string {
  return ipaddr.process(address).toString()
}

function checkId (id: string): void {
  if (!isHexId(id)) {
    throw new ApiError('cluster_id_malformed', `${JSON.stringify(id)} is not a cluster id`, {
      hint: 'A cluster id has 24 hexadecimal digits; GET /api/v1/clusters lists them'
    })
  }
}

function notFound (id: string): ApiError {
  return new ApiError('cluster_not_found', `No cluster has the id ${id}`, { hint: 'Register first: the id is in sc2' })
}

function fail (error: Error): never {
  throw error
}
