import { randomUUID } from 'node:crypto'
import type { CommandDraft } from '../../../schemas/channel.js'
import type { ClusterId } from '../../../schemas/cluster.js'
import type { Instance, Job } from '../../../schemas/job.js'
import type { JobEvent } from '../../../schemas/job-event.js'
import { hasBegun } from '../../../schemas/job-facts.js'
import type { Status } from '../../../schemas/status.js'
import type { JobChange } from '../../../stores/store.js'
import { successorOf } from './instances.js'
import { noteRepetition } from './repetitions.js'
import { mayBecome, type Trigger } from './transitions.js'

type EventExtras = Pick<JobEvent, 'instance_number' | 'cluster_id' | 'from' | 'to'>

/**
 * A change of one job in the making: a copy of the job, with what has to be stored along with it. An edit says what
 * should be where; the commands for the clusters follow from the difference when the edit is done.
 */
export interface JobEdit {
  job: Job
  /** ISO time of the change. */
  now: string
  /** Something happened. Repetitions are told at their 2nd, 4th, 8th … time. */
  event (type: JobEvent['type'], message: string, extras?: EventExtras): void
  /** Adds a command for a cluster to those that follow from the difference. Returns its id. */
  command (
    clusterId: ClusterId,
    kind: CommandDraft['kind'],
    more?: Pick<CommandDraft, 'replicas' | 'removed_at' | 'node_from' | 'node_to'>
  ): string
  /** Gives an instance another status if the table of transitions allows it; false if it does not. */
  move (instance: Instance, trigger: Trigger, to: Status, reason?: string | null): boolean
  /**
   * Commands the cluster to update an instance to the newest descriptor. Until the cluster acknowledges this, its
   * reports are about the earlier one.
   */
  renew (instance: Instance): void
  /** Sends the cluster a command again: what it should run, or that it should run nothing. */
  resend (clusterId: ClusterId): void
  /** Sends an original cluster what it should run, now that it has removed what ran there before. */
  bringBack (clusterId: ClusterId): void
  /**
   * Takes an instance off its cluster, which gets a command to remove it, and has it placed anew; it keeps its address.
   * An instance that has a successor leaves its place to that one.
   * @param how `removed-first`: it is not placed before the cluster has removed it.
   * @param reason Why it is REQUESTED again. Without a reason it keeps its status.
   */
  recall (instance: Instance, how: 'removed' | 'removed-first', reason?: string): void
  /** Takes entries out of the instance_list; their clusters get a command to remove them. */
  drop (...entries: Instance[]): void
  /**
   * Frees the addresses of what these clusters have yet to remove, also of what this edit commands them to remove. The
   * removal itself is still asked for.
   */
  release (isMeant: (entry: Job['retiring'][number]) => boolean): void
  /** Sends this cluster no command: it no longer exists. */
  forget (clusterId: ClusterId): void
}

/** What an edit asks of the clusters beyond the difference between the instance_lists. */
export interface Intents {
  renewed: Set<Instance>
  resent: Set<ClusterId>
  broughtBack: Set<ClusterId>
  forgotten: Set<ClusterId>
  released: (entry: Job['retiring'][number]) => boolean
  /** Something happened, told or not. */
  touched: boolean
  /** Instances that are placed only after this cluster has removed them. */
  waiting: Map<Instance, ClusterId>
}

/** An edit with what it has gathered so far. */
export interface OpenEdit {
  edit: JobEdit
  events: JobChange['events']
  commands: CommandDraft[]
  intents: Intents
}

/** Begins an edit of a copy. job-change.ts brings it to its end. */
export function openEdit (original: Job, cause: string, at: Date): OpenEdit {
  const job = structuredClone(original)
  const now = at.toISOString()
  const events: JobChange['events'] = []
  const commands: CommandDraft[] = []
  const intents: Intents = {
    renewed: new Set(),
    resent: new Set(),
    broughtBack: new Set(),
    forgotten: new Set(),
    released: () => false,
    touched: false,
    waiting: new Map()
  }

  const edit: JobEdit = {
    job,
    now,

    event (type, message, extras = {}) {
      intents.touched = true
      const repetition = noteRepetition(job, now, { type, message, ...extras })
      if (repetition) events.push({ time: now, type, cause, message, ...extras, ...repetition })
    },

    command (clusterId, kind, more = {}) {
      const commandId = randomUUID()
      commands.push({ command_id: commandId, cluster_id: clusterId, kind, job_id: job.id, ...more })
      return commandId
    },

    move (instance, trigger, to, reason = null) {
      const from = instance.status
      if (!mayBecome(instance, trigger, to)) return false
      Object.assign(instance, { status: to, status_reason: reason, status_since: now, given_up: trigger === 'gave_up' })
      delete instance.deadline_from
      edit.event('status', `instance ${instance.instance_number} is ${to}${reason ? `: ${reason}` : ''}`, {
        instance_number: instance.instance_number,
        from,
        to,
        ...(instance.cluster_id && { cluster_id: instance.cluster_id })
      })
      return true
    },

    renew (instance) {
      instance.generation = job.generation
      intents.renewed.add(instance)
      edit.move(instance, 'renewed', 'CLUSTER_SCHEDULED', 'being updated to the new descriptor')
    },

    resend (clusterId) {
      intents.resent.add(clusterId)
    },

    bringBack (clusterId) {
      intents.broughtBack.add(clusterId)
    },

    recall (instance, how, reason) {
      if (successorOf(job, instance)) {
        const { instance_number: number, cluster_id: clusterId } = instance
        edit.event(
          'moving',
          `instance ${number} is no longer on ${clusterId}: its successor takes its place`,
          { instance_number: number, cluster_id: clusterId }
        )
        return edit.drop(instance)
      }
      if (reason !== undefined) edit.move(instance, 'recalled', 'REQUESTED', reason)
      // A move decides where it starts, and not where it is for ever.
      const wasMoved = instance.move === null && hasBegun(instance.told)
      if (how === 'removed-first') intents.waiting.set(instance, instance.cluster_id)
      Object.assign(instance, {
        ...(wasMoved && instance.location !== '' && { location: null }),
        cluster_id: '',
        namespace_ip: '',
        host_ip: '',
        host_port: null,
        original: false,
        told: null,
        awaits: null,
        told_apart: false,
        offered: null,
        silent: false,
        given_up: false,
        generation: job.generation
      })
    },

    drop (...entries) {
      job.instance_list = job.instance_list.filter(entry => !entries.includes(entry))
    },

    release (isMeant) {
      intents.released = isMeant
    },

    forget (clusterId) {
      intents.forgotten.add(clusterId)
    }
  }
  return { edit, events, commands, intents }
}
