import type { Job } from '../../schemas/job.js'
import type { JobEvent } from '../../schemas/job-event.js'
import type { SimulatedCluster } from '../../simulator/cluster.js'
import { eventually } from '../support/waiting.js'

/** What can be asked of any server after any fault, from outside. */

/** @param url Asked anew for each try: who answered before may be gone. */
async function read<T> (url: () => string, path: string): Promise<T> {
  const answer = await eventually(
    () => fetch(url() + path).catch(() => undefined),
    answer => answer !== undefined && answer.status !== 503,
    20_000
  )
  if (answer?.status !== 200) throw new Error(`${path}: ${answer?.status} ${await answer?.text()}`)
  return (await answer.json()) as T
}

/** Every job, whole. */
export async function jobsOf (url: () => string): Promise<Job[]> {
  const found: Job[] = []
  for (let after: string | null = ''; after !== null;) {
    const page: { items: Job[]; next: string | null } = await read(
      url,
      `/api/v1/jobs?undeployed=true&limit=100${after && `&after=${after}`}`
    )
    found.push(...page.items)
    after = page.next
  }
  return found
}

/** How many addresses are leased, and those that two have. An instance that moves has one in both places. */
export function addressesOf (jobs: Job[]): { count: number; twice: string[] } {
  const owners = new Map<string, string>()
  const twice: string[] = []
  function take (address: string, owner: string): void {
    const other = owners.get(address)
    if (other !== undefined && other !== owner) twice.push(`${address} is of ${other} and of ${owner}`)
    owners.set(address, owner)
  }
  for (const { id, service_ip_list: service, instance_list: instances, retiring } of jobs) {
    for (const { Address: address } of service) take(address, id)
    const leaving = retiring.filter(({ released }) => !released).flatMap(entry => entry.instances)
    for (const { instance_number: number, instance_ip: address } of [...instances, ...leaving]) {
      if (address !== '') take(address, `${id} ${number}`)
    }
  }
  return { count: owners.size, twice }
}

/** Looks at the histories again and again: what was told once stays told, and no number is left out. */
export function createHistories (): {
  gaps(url: () => string, jobs: Job[]): Promise<string[]>
  readonly events: number
} {
  const seen = new Map<string, JobEvent[]>()
  return {
    get events () {
      return [...seen.values()].reduce((sum, events) => sum + (events.at(-1)?.id ?? 0), 0)
    },
    async gaps (url, jobs) {
      const found: string[] = []
      for (const { id, job_name: name } of jobs) {
        const { items } = await read<{ items: JobEvent[] }>(url, `/api/v1/jobs/${id}/events?limit=1000`)
        const first = items[0]?.id ?? 1
        items.forEach((event, index) => {
          if (event.id !== first + index) found.push(`${name}: event ${event.id} after ${items[index - 1]?.id}`)
        })
        for (const event of seen.get(id) ?? []) {
          const again = items[event.id - first]
          if (event.id >= first && again?.type !== event.type) {
            found.push(`${name}: event ${event.id} was ${event.type} and is ${again?.type}`)
          }
        }
        seen.set(id, items)
      }
      return found
    }
  }
}

/** What is not as it is to be in the end, from the point of view of the API and of the clusters. */
async function unrest (url: () => string, clusters: SimulatedCluster[]): Promise<string[]> {
  const found: string[] = []
  const listed: string[] = []
  for (const job of await jobsOf(url)) {
    const { job_name: name, instance_list: list, rollout, retiring, descriptor } = job
    if (job.desired_state === 'undeployed' && job.status !== 'UNDEPLOYED') found.push(`${name} is not undeployed`)
    if (rollout || retiring.length > 0) found.push(`${name} is being changed`)
    if (job.desired_state === 'running' && list.length !== job.replicas) {
      found.push(`${name} has ${list.length} of ${job.replicas} instances`)
    }
    for (const { instance_number: number, status, status_reason: why, cluster_id: cluster, move } of list) {
      if (status !== 'RUNNING' || move) found.push(`${name} ${number} is ${status}: ${why}`)
      listed.push(`${job.id} ${number} ${cluster} ${descriptor.image as string}`)
    }
  }
  const run = clusters.flatMap(cluster =>
    cluster
      .running()
      .flatMap(({ job_id: id, instances }) =>
        instances.map(({ instance_number: number, image }) => `${id} ${number} ${cluster.id} ${image}`)
      )
  )
  for (const instance of run) if (!listed.includes(instance)) found.push(`runs, and is not listed: ${instance}`)
  for (const instance of listed) if (!run.includes(instance)) found.push(`is listed, and does not run: ${instance}`)
  return found
}

/** Waits until everything runs exactly once. Gives the milliseconds that it took. */
export async function settled (url: () => string, clusters: () => SimulatedCluster[], ms = 20_000): Promise<number> {
  const began = performance.now()
  await eventually(
    () => unrest(url, clusters()),
    found => found.length === 0,
    ms
  )
  return Math.round(performance.now() - began)
}
