import type { Command } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Job, JobId } from '../../../schemas/job.js'
import { jobWithPlainId } from '../../../schemas/job-document.js'
import { dueAt } from '../../../services/job-lifecycle/state-machine/decisions/deadlines.js'
import type { Policy } from '../../../services/job-lifecycle/state-machine/policy.js'
import type { JobChange } from '../../../stores/store.js'

/** The promises of the store's port that decisions rely on, in memory and at once: addresses, revisions, the outbox. */
export class ModelStore {
  readonly jobs = new Map<JobId, Job>()
  readonly outbox = new Map<ClusterId, Command[]>()
  readonly leases = new Map<string, JobId>()
  #nextAddress = 1
  readonly #lastSeq = new Map<ClusterId, number>()

  constructor (readonly policy: Policy) {}

  commit ({ job, commands }: JobChange): Job {
    if (job.revision !== (this.jobs.get(job.id)?.revision ?? 0)) throw new Error('the change was decided on another revision')
    const named = new Set(addressesOf(job))
    for (const [address, holder] of this.leases) if (holder === job.id && !named.has(address)) this.leases.delete(address)
    for (const address of named) if (this.leases.get(address) !== job.id) throw new Error(`${address} is named and not leased`)
    const saved: Job = {
      ...job,
      revision: job.revision + 1,
      due_at: dueAt(job, this.policy),
      service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: entry.Address || this.#lease(job.id) })),
      instance_list: job.instance_list.map(entry => ({ ...entry, instance_ip: entry.instance_ip || this.#lease(job.id) }))
    }
    // What is stored is what JSON can say.
    const stored = JSON.parse(JSON.stringify(saved)) as Job
    this.jobs.set(job.id, stored)
    for (const { cluster_id: clusterId, ...command } of commands) {
      const seq = (this.#lastSeq.get(clusterId) ?? 0) + 1
      this.#lastSeq.set(clusterId, seq)
      const carriesJob = command.kind === 'deploy' || command.kind === 'replicate'
      this.pending(clusterId).push({ ...command, seq, ...carriesJob && { job: jobWithPlainId(stored) } })
    }
    return stored
  }

  pending (clusterId: ClusterId): Command[] {
    const commands = this.outbox.get(clusterId) ?? []
    this.outbox.set(clusterId, commands)
    return commands
  }

  settle (clusterId: ClusterId, commandId: string): void {
    this.outbox.set(clusterId, this.pending(clusterId).filter(command => command.command_id !== commandId))
  }

  #lease (jobId: JobId): string {
    const place = this.#nextAddress++
    const address = `172.30.${place >> 8}.${place & 255}`
    this.leases.set(address, jobId)
    return address
  }
}

export function addressesOf ({ service_ip_list: services, instance_list: list, retiring }: Job): string[] {
  return [
    ...services.map(({ Address }) => Address),
    ...list.map(({ instance_ip: address }) => address),
    ...retiring.flatMap(({ instances }) => instances.map(({ instance_ip: address }) => address))
  ].filter(address => address !== '')
}
