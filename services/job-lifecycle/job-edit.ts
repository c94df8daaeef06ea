import { randomUUID } from 'node:crypto'
import type { CommandDraft } from '../../schemas/channel.js'
import type { Instance, Job, JobEvent, Retiring } from '../../schemas/job.js'
import type { Status } from '../../schemas/status.js'
import type { JobChange } from '../../stores/store.js'
import { mayBecome, worst, type News } from './transitions.js'

type EventExtras = Pick<JobEvent, 'instance_number' | 'cluster_id' | 'from' | 'to'>

/** A change of one job in the making: a copy of the job, with what has to be stored along with it. */
export interface JobEdit {
  job: Job
  /** ISO time of the change. */
  now: string
  event (type: JobEvent['type'], message: string, extras?: EventExtras): void
  /** Puts a command for a cluster into the outbox; gives back its id. */
  command (clusterId: string, kind: CommandDraft['kind'], more?: Pick<CommandDraft, 'replicas'>): string
  /** Moves an instance when the table of transitions allows it; false when it does not. */
  move (instance: Instance, news: News, to: Status, reason?: string | null): boolean
  /** Takes instances off their cluster; they keep their addresses until the cluster acknowledges the command. */
  retire (clusterId: string, instances: Retiring['instances'], commandId: string): void
  /** The change to commit, or undefined when nothing came of it. */
  done (): JobChange | undefined
}

/** @param cause Who or what brings the change about, as the events tell it. */
export function editJob (original: Job, cause: string, at = new Date()): JobEdit {
  const job = structuredClone(original)
  const now = at.toISOString()
  const events: JobChange['events'] = []
  const commands: CommandDraft[] = []

  const edit: JobEdit = {
    job,
    now,

    event (type, message, extras = {}) {
      events.push({ time: now, type, cause, message, ...extras })
    },

    command (clusterId, kind, more = {}) {
      const commandId = randomUUID()
      commands.push({ command_id: commandId, cluster_id: clusterId, kind, job_id: job.id, ...more })
      return commandId
    },

    move (instance, news, to, reason = null) {
      const from = instance.status
      if (!mayBecome(from, news, to)) return false
      Object.assign(instance, { status: to, status_reason: reason, status_since: now })
      edit.event('status', `instance ${instance.instance_number} is ${to}${reason ? `: ${reason}` : ''}`, {
        instance_number: instance.instance_number, from, to, ...(instance.cluster_id && { cluster_id: instance.cluster_id })
      })
      return true
    },

    retire (clusterId, instances, commandId) {
      job.retiring.push({ command_id: commandId, cluster_id: clusterId, instances, error: null })
    },

    done () {
      if (events.length === 0 && commands.length === 0) return undefined
      if (job.desired_state === 'running') summarise(job)
      job.updated_at = now
      return { job, events, commands }
    }
  }
  return edit
}

/** A job is as well as its worst instance, and says why. */
function summarise (job: Job): void {
  const instance = worst(job.instance_list)
  if (!instance) return
  job.status = instance.status
  const many = job.instance_list.length > 1
  job.status_reason = instance.status_reason && (many ? `instance ${instance.instance_number}: ${instance.status_reason}` : instance.status_reason)
}

/** A new instance, not placed yet. Its address is leased when the change is stored. */
export function newInstance (instanceNumber: number, generation: number, now: string): Instance {
  return {
    instance_number: instanceNumber,
    instance_ip: '',
    cluster_id: '',
    namespace_ip: '',
    host_ip: '',
    host_port: '',
    status: 'REQUESTED',
    status_reason: null,
    status_since: now,
    generation,
    move: null,
    location: null,
    node: null,
    attempts: 0,
    silent: false,
    awaits: null,
    refusals: []
  }
}

/** Instances by the cluster they are placed on; those without one are left out. */
export function byCluster (instances: readonly Instance[]): Map<string, Instance[]> {
  const groups = new Map<string, Instance[]>()
  for (const instance of instances) {
    if (instance.cluster_id === '') continue
    const group = groups.get(instance.cluster_id)
    if (group) group.push(instance)
    else groups.set(instance.cluster_id, [instance])
  }
  return groups
}
