import { TypeCompiler } from '@sinclair/typebox/compiler'
import { Job, MAX_REVISIONS } from '../../../schemas/job.js'
import { WAY_UP, type Status } from '../../../schemas/status.js'
import { byCluster, isUp, numbersOf } from '../../../services/job-lifecycle/state-machine/instances.js'
import type { JobChange } from '../../../stores/store.js'
import type { ModelCluster } from './cluster.js'
import { addressesOf, type ModelStore } from './store.js'

const jobSchema = TypeCompiler.Compile(Job)

function must (condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message)
}

/** What holds of a job after every change, whatever came before. */
export function checkChange (before: Job | undefined, job: Job, { events }: JobChange, store: ModelStore): void {
  if (!jobSchema.Check(job)) throw new Error(`not a job: ${JSON.stringify([...jobSchema.Errors(job)].slice(0, 2))}`)
  must(job.revisions.length <= MAX_REVISIONS, 'too many revisions')
  const numbers = numbersOf(job)
  const expected = job.desired_state === 'running' ? job.replicas + (job.rollout?.max_surge ?? 0) : 0
  must(numbers.length === expected, `${numbers.length} instances instead of ${expected}`)

  for (const number of numbers) {
    const entries = job.instance_list.filter(entry => entry.instance_number === number)
    const [source] = entries.filter(entry => entry.move === null)
    const [successor] = entries.filter(entry => entry.move !== null)
    must(source !== undefined && entries.length <= 2 && (entries.length === 1 || successor !== undefined), `instance ${number} has ${entries.length} entries, not those of a move`)
    if (successor) {
      must(source.cluster_id !== '' && successor.move!.from === source.cluster_id && successor.cluster_id !== source.cluster_id, `instance ${number} moves from nowhere, or to where it is`)
      must(source.instance_ip === successor.instance_ip, `instance ${number} has two addresses`)
    }
    const earlier = before?.instance_list.find(entry => entry.instance_number === number)
    must(!earlier || earlier.instance_ip === source.instance_ip, `instance ${number} changed its address`)
  }

  for (const [clusterId, entries] of byCluster(job.instance_list.filter(({ original }) => original))) {
    must(entries.length === 1, `the original cluster ${clusterId} has ${entries.length} instances of one job`)
  }
  for (const entry of job.instance_list) {
    must(entry.cluster_id !== '' || !entry.silent, 'an instance without a cluster is silent')
    must(entry.generation <= job.generation, 'an instance is ahead of its job')
    if (entry.awaits === null) continue
    const isPending = [...store.outbox.values()].flat().some(command => command.command_id === entry.awaits)
    // Refused, its cluster's word does not count until it is brought elsewhere or asked anew.
    must(isPending || (entry.status !== 'RUNNING' && entry.cluster_id !== ''), `instance ${entry.instance_number} awaits what will never come`)
  }
  for (const entry of job.retiring) {
    if (entry.error === null) must(store.pending(entry.cluster_id).some(command => command.command_id === entry.command_id), 'a removal without a command')
  }
  if (!before) return
  must(job.fence >= before.fence, 'one that leads no more overwrote what its successor did')
  checkSteadiness(before, job, events)
  checkAvailability(before, job, events)
  checkPatience(before, events)
}

/** On one cluster, with one descriptor, an instance climbs, unless its command is sent again; given up, it stays so. */
function checkSteadiness (before: Job, job: Job, events: JobChange['events']): void {
  if (events.some(({ type, cause }) => type === 'resent' || cause === 'user')) return
  for (const earlier of before.instance_list) {
    const entry = job.instance_list.find(({ instance_number: number, cluster_id: clusterId, generation }) =>
      number === earlier.instance_number && clusterId === earlier.cluster_id && generation === earlier.generation)
    if (!entry || entry.cluster_id === '') continue
    must(rung(entry.status) < 0 || rung(entry.status) >= rung(earlier.status), `${earlier.status} went back to ${entry.status}`)
    must(!earlier.given_up || (entry.given_up && entry.status === 'FAILED') || ['RUNNING', 'COMPLETED'].includes(entry.status),
      `what was given up is ${entry.status} without a user`)
  }
}

function rung (status: Status): number {
  return (WAY_UP as readonly Status[]).indexOf(status === 'CREATING' ? 'CREATED' : status)
}

/** DEPLOYED is up on an original cluster: it has no deadline. */
function checkPatience (before: Job, events: JobChange['events']): void {
  for (const { type, instance_number: number, cluster_id: clusterId } of events) {
    if (type !== 'retried' && type !== 'gave_up') continue
    const entry = before.instance_list.find(entry => entry.instance_number === number && entry.cluster_id === clusterId)
    must(!(entry?.original && entry.status === 'DEPLOYED'), 'what is up on an original cluster was tried elsewhere')
  }
}

/** An update takes down what runs only while enough others run. */
function checkAvailability (before: Job, job: Job, events: JobChange['events']): void {
  const renewed = new Set(
    events
      .filter(({ from = '', to }) => ['DEPLOYED', 'RUNNING'].includes(from) && to === 'CLUSTER_SCHEDULED')
      .map(event => event.instance_number)
  )
  const tookDown = job.instance_list.some(entry => renewed.has(entry.instance_number) && before.instance_list.some(earlier => earlier.instance_number === entry.instance_number &&
    earlier.cluster_id === entry.cluster_id && isUp(earlier) && !isUp(entry) && entry.generation > earlier.generation && entry.awaits !== null))
  if (!tookDown) return
  const up = new Set(job.instance_list.filter(isUp).map(entry => entry.instance_number)).size
  const least = job.replicas - (job.rollout?.max_unavailable ?? 1)
  must(up >= least, `an update left ${up} instances of at least ${least}`)
}

/** No address is held twice, or by nobody. */
export function checkAddresses (store: ModelStore): void {
  const seen = new Map<string, string>()
  for (const job of store.allJobs) {
    for (const address of addressesOf(job)) {
      must((seen.get(address) ?? job.id) === job.id, `${address} is held twice`)
      seen.set(address, job.id)
    }
  }
  must(seen.size === store.leases.size, 'an address is leased to nobody')
}

/**
 * Once a cluster has taken all that waits for it, it runs exactly what the jobs list for it.
 * @param excused Jobs, as "<cluster> <job>", of which it refused or lost something, or runs without a command.
 */
export function checkCommands (store: ModelStore, clusters: Iterable<ModelCluster>, excused: ReadonlySet<string>): void {
  for (const cluster of clusters) {
    const then = cluster.copy()
    for (const command of store.pending(cluster.id)) then.take(command)
    for (const job of store.allJobs) {
      if (excused.has(`${cluster.id} ${job.id}`)) continue
      const here = job.instance_list.filter(entry => entry.cluster_id === cluster.id)
      // An original cluster is sent what it is to run once it has removed what ran before.
      const isRemoving = job.retiring.some(({ command_id: id }) => here.some(({ awaits }) => awaits === id))
      if (cluster.isOriginal && isRemoving) continue
      const listed = here.map(entry => entry.instance_number).sort()
      const runs = [...then.jobs.get(job.id)?.keys() ?? []].sort()
      must(JSON.stringify(listed) === JSON.stringify(runs), `${cluster.id} is to run ${JSON.stringify(listed)} of ${job.job_name} and will run ${JSON.stringify(runs)}`)
    }
  }
}

/** What an original cluster says of a job that it has removed is no word about what it was sent since. */
export function checkWords (store: ModelStore, clusters: Iterable<ModelCluster>, excused: ReadonlySet<string>): void {
  for (const cluster of clusters) {
    for (const job of cluster.isOriginal ? store.allJobs : []) {
      if (excused.has(`${cluster.id} ${job.id}`)) continue
      for (const { instance_number: number, cluster_id: clusterId, awaits, status } of job.instance_list) {
        if (clusterId !== cluster.id || awaits !== null || status !== 'DEPLOYED') continue
        must(
          cluster.jobs.get(job.id)?.has(number) ?? false,
          `${clusterId} has nothing of ${job.job_name}, which is DEPLOYED`
        )
      }
    }
  }
}
