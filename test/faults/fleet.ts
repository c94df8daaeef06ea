import { join } from 'node:path'
import type { Test } from 'tap'
import type { Command } from '../../schemas/channel.js'
import type { ClusterView } from '../../schemas/cluster.js'
import { startSimulatedCluster, type SimulatedCluster } from '../../simulator/cluster.js'
import { eventually, patience } from '../support/waiting.js'
import { deployRequest, descriptorOf } from './acts.js'

/** Clusters, and on them services that run from the beginning and that nobody touches: the bystanders. */
export interface Fleet {
  names: string[]
  all(): SimulatedCluster[]
  get(name: string): SimulatedCluster
  /** Kills a cluster; what it runs goes on in its containers. Gives how it comes back, perhaps without memory. */
  kill(name: string): Promise<(options?: { forgetful?: boolean }) => void>
  /** Deploys the bystanders and waits until they run. To be called once. */
  deployBystanders(url: string): Promise<void>
  /** What was stopped, started anew or moved of them, on clusters that were not excused. */
  disturbed(): string[]
  /** From now on it is right that what this cluster runs moves, until {@link watchAnew}. */
  excuse(name: string): void
  /** Bystanders are to stay where they are now. */
  watchAnew(): void
  /** What came in another order, with a gap, or twice with different contents. */
  disorder: string[]
  readonly figures: { bystanders: number; commands: number; repeated: number }
}

const APP = 'bystander'
const BYSTANDERS = ['b0', 'b1', 'b2'].map(service => `${APP}.default.${service}.test`)
const EACH = 3

/** @param urlOf Where the channel of a cluster is, `ws://…/register`. */
export function startFleet (
  t: Test,
  { names, urlOf, folder }: { names: string[]; urlOf: (name: string) => string; folder: string }
): Fleet {
  const clusters = new Map<string, SimulatedCluster>()
  const commands = new Map<string, Map<number, string>>()
  const disorder: string[] = []
  const excused = new Set<string>()
  const stopped: string[] = []
  const figures = { bystanders: 0, commands: 0, repeated: 0 }
  let ids = new Set<string>()
  let before: string[] = []

  function start (name: string, stateFile = join(folder, `${name}.json`)): void {
    const cluster = startSimulatedCluster({
      url: urlOf(name),
      name,
      location: name,
      workers: ['a', 'b'].map(worker => ({ name: `${name}-${worker}`, cores: 64, memoryMb: 64_000 })),
      delays: { createMs: 20, startMs: 40 },
      backoff: { firstMs: 20, longestMs: 200 },
      heartbeatIntervalS: 0.2,
      stateFile
    })
    clusters.set(name, cluster)
    cluster.events.on('delivered', command => note(name, command))
    cluster.events.on('resync', ({ next_seq: next }) => {
      // It begins anew: what has these numbers from now on is something else.
      const seen = commands.get(name)
      for (const seq of seen?.keys() ?? []) if (seq >= next) seen!.delete(seq)
    })
    cluster.events.on('status', (job, status) => {
      if (ids.has(job)) stopped.push(...missing().map(one => `${one} when ${job} became ${status ?? 'gone'}`))
    })
  }

  /** Numbers rise by one, and a number that comes again brings the same. */
  function note (name: string, command: Command): void {
    const seen = commands.get(name) ?? new Map<number, string>()
    commands.set(name, seen)
    const { seq } = command
    const text = JSON.stringify(command)
    const earlier = seen.get(seq)
    if (earlier !== undefined) {
      figures.repeated++
      if (earlier !== text) disorder.push(`${name} ${seq} was ${earlier} and is ${text}`)
      return
    }
    figures.commands++
    const last = Math.max(0, ...seen.keys())
    if (seen.size > 0 && seq !== last + 1) disorder.push(`${name} got ${seq} after ${last}`)
    seen.set(seq, text)
  }

  const all = () => [...clusters.values()]
  const bystanders = () =>
    [...clusters].flatMap(([name, cluster]) =>
      cluster
        .running()
        .filter(job => ids.has(job.job_id))
        .flatMap(({ job_id: id, instances }) =>
          instances.map(
            ({ instance_number: number, namespace_ip: address, status }) =>
              `${name} ${id} ${number} ${address} ${status}`
          )
        )
    )

  /** Those that do not run as they did, in the same container. */
  function missing (): string[] {
    const now = new Set(bystanders())
    return before.filter(one => {
      const [name = ''] = one.split(' ')
      // While a cluster is being started again, nobody can look into it.
      return clusters.has(name) && !excused.has(name) && !now.has(one)
    })
  }

  function watchAnew (): void {
    before = bystanders()
    excused.clear()
    figures.bystanders = before.length
  }

  for (const name of names) start(name)
  t.teardown(() => Promise.all(all().map(cluster => cluster.kill())))
  return {
    names,
    all,
    disorder,
    figures,
    get: name => clusters.get(name)!,
    async kill (name) {
      await clusters.get(name)!.kill()
      clusters.delete(name)
      return ({ forgetful = false } = {}) => {
        if (forgetful) commands.delete(name)
        start(name, join(folder, forgetful ? `${name}-${Date.now()}.json` : `${name}.json`))
      }
    },

    async deployBystanders (url) {
      await eventually(
        async () => all().map(({ registered }) => registered),
        seen => seen.every(Boolean),
        20_000
      )
      const descriptors = BYSTANDERS.map(name =>
        descriptorOf({ app: APP, service: name.split('.')[2]!, image: 'still', replicas: EACH })
      )
      // Clusters that have not told their figures yet would get nothing of it.
      await eventually(
        async () => (await (await fetch(`${url}/api/v1/clusters`)).json()) as { items: ClusterView[] },
        ({ items }) => items.length === names.length && items.every(({ last_heartbeat_at: at }) => at !== null),
        20_000
      )
      const answer = await fetch(`${url}/api/v1/applications`, deployRequest(descriptors, 'json'))
      if (answer.status !== 201) throw new Error(await answer.text())
      const jobs = () =>
        all()
          .flatMap(cluster => cluster.running())
          .filter(job => job.job_name.startsWith(`${APP}.`))
      await eventually(
        async () => jobs().flatMap(({ instances }) => instances),
        found => found.length === BYSTANDERS.length * EACH && found.every(({ status }) => status === 'RUNNING'),
        20_000
      )
      // The news of it is still on its way.
      await new Promise(resolve => setTimeout(resolve, patience(300)))
      ids = new Set(jobs().map(({ job_id: id }) => id))
      watchAnew()
    },

    watchAnew,
    disturbed: () => [...stopped, ...missing()],

    excuse: name => {
      excused.add(name)
    }
  }
}
