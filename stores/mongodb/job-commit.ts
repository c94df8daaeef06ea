import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Job, JobId } from '../../schemas/job.js'
import { withoutOldDescriptors } from '../../schemas/job-facts.js'
import { addressesOf, fillAddresses } from '../address-space.js'
import type { CommitOutcome, JobChange } from '../store.js'
import type { AddressPool } from './addresses.js'
import type { JobDocument } from './collections.js'
import type { Connection } from './connection.js'
import { batchFailure, isOutage, type BatchFailure, type Refusal } from './failures.js'
import { toObjectId } from './ids.js'
import { aboutJob, foundByScheduler, toJob, WITHOUT_HISTORY } from './job-document.js'
import { isOurs, STORED, stepOf, toOperation, type Adoption, type Step, type Stored } from './job-operation.js'
import type { Notifications } from './notifications.js'
import { ORIGINAL_REVISION } from './original-job.js'
import { createRetries } from './retries.js'

export interface JobCommit {
  /** As the port promises, but never rejects. Commands are in the documents of their jobs, yet to be relayed. */
  commit (changes: JobChange[]): Promise<CommitOutcome[]>
  /**
   * Takes what the Cloud Scheduler wrote into the document of a job for a revision of its own, and notifies every
   * process.
   */
  absorb (id: JobId): Promise<void>
  /**
   * Gives a document of the original what is ours. Of several live jobs of one name, which the original allowed, the
   * first one to be adopted has the name; of several that were given one address, it has the address. False when it
   * could not be done now.
   */
  adopt (document: JobDocument): Promise<boolean>
}

/** Tries of a change that something stood in the way of which was gone at the next look. */
const MAX_TRIES = 10

/** Milliseconds after which a majority has what one server has done, as a rule. */
const LOOK_AGAIN_MS = 100

export function createJobCommit (
  { collections: { jobs }, documents, log }: Connection,
  addresses: AddressPool,
  notifications: Notifications
): JobCommit {
  async function commit (changes: JobChange[], adoption?: Adoption): Promise<CommitOutcome[]> {
    const outcomes: CommitOutcome[] = []
    const retry = createRetries('Jobs', MAX_TRIES)
    let left = changes.map((change, index) => ({ change, index }))
    while (left.length > 0) {
      // Of several changes of one job each is a step of its own, in order.
      const ids = new Set<JobId>()
      const batch = left.filter(({ change: { job } }) => !ids.has(job.id) && ids.add(job.id))
      try {
        const again = new Set(await commitBatch(batch, outcomes, adoption))
        left = left.filter(entry => again.has(entry.index) || !batch.includes(entry))
        if (again.size > 0) await retry()
      } catch (err) {
        // What is done is done.
        left = left.filter(({ index }) => !outcomes[index])
        if (isOutage(err) || left.length === 1) {
          for (const { index } of left) outcomes[index] = { outcome: 'failed', error: err }
        } else {
          // One that cannot be done spoils no other.
          for (const { change, index } of left) outcomes[index] = (await commit([change], adoption))[0]!
        }
        return outcomes
      }
    }
    return outcomes
  }

  /**
   * One change each of different jobs. Writes their outcomes; gives the indexes of those that have to be tried again.
   */
  async function commitBatch (
    batch: Array<Pick<Step, 'change' | 'index'>>,
    outcomes: CommitOutcome[],
    adoption: Adoption | undefined
  ): Promise<number[]> {
    const stored = await readStored(batch.map(({ change }) => change.job.id))
    const steps: Step[] = []
    for (const { change, index } of batch) {
      const found = stored.get(change.job.id)
      if (revisionOf(found) === change.job.revision && !(found && foundByScheduler(found))) {
        steps.push({ ...stepOf(change, found, adoption), index })
        continue
      }
      if (found && foundByScheduler(found)) await absorb(change.job.id)
      outcomes[index] = { outcome: 'stale' }
    }
    const ready = await withAddresses(steps)
    const written = await write(ready)

    const again: number[] = []
    const unused: string[] = []
    for (const step of steps) {
      const result = written.get(step)
      if (result === 'saved') {
        outcomes[step.index] = { outcome: 'saved', job: withoutOldDescriptors(step.next).job }
        const named = addressesOf(step.next)
        unused.push(...(step.stored?.system_manager?.addresses ?? []).filter(address => !named.has(address)))
        continue
      }
      if (typeof result === 'object') {
        outcomes[step.index] = { outcome: 'failed', error: result.failed }
        continue
      }
      unused.push(...step.taken)
      const reason = result === 'conflict'
        ? undefined
        : await whyNot(step) ?? (ready.includes(step) ? undefined : { outcome: 'addresses_exhausted' as const })
      if (reason) outcomes[step.index] = reason
      else again.push(step.index)
    }
    await addresses.giveBack(unused)
    return again
  }

  async function readStored (ids: JobId[]): Promise<Map<JobId, Stored>> {
    const found = await jobs.findMany({ _id: { $in: ids.map(toObjectId) } }, { projection: STORED })
    return new Map(found.map(document => [document._id.toHexString(), document as Stored]))
  }

  /** Takes addresses for those that lack some. Those for which there are not enough are left out. */
  async function withAddresses (steps: Step[]): Promise<Step[]> {
    const except = new Set(steps.flatMap(({ change }) => [...addressesOf(change.job)]))
    const ready = await Promise.all(steps.map(async step => {
      const { job } = step.change
      if ([...addressesOf(job)].some(address => !isOurs(step, address))) return undefined
      let count = 0
      fillAddresses(job, () => {
        count++
        return ''
      })
      if (count > 0) {
        const taken = await addresses.take({ count, except })
        if (!taken) return undefined
        step.taken = taken
      }
      const next = step.taken.values()
      step.next = { ...fillAddresses(job, () => next.next().value!), revision: job.revision + 1 }
      return step
    }))
    return ready.filter(step => step !== undefined)
  }

  /** Writes all in one batch. What stood against a `refused` or a `duplicate` one is not known yet. */
  async function write (steps: Step[]): Promise<Map<Step, 'saved' | 'refused' | Refusal>> {
    if (steps.length === 0) return new Map()
    const change = randomUUID()
    let failure: BatchFailure | undefined
    try {
      const operations = steps.map(step => toOperation(step, change))
      const { insertedCount, matchedCount } = await jobs.bulkWrite(operations, { ordered: false })
      if (insertedCount + matchedCount === steps.length) return new Map(steps.map(step => [step, 'saved']))
    } catch (err) {
      failure = batchFailure(err)
    }
    // A batch does not say which of them were not the ones any more that they were decided on. Should yet another
    // process have been faster than this look, a saved one counts as stale, is decided again, and is seen to be done.
    const saved = failure?.isUnsafe ? new Set<Step>() : await savedBy(change, steps, failure?.isWhole ?? false)
    // Nothing is done, because of one of them.
    if (failure?.isMistake && steps.length > 1 && saved.size === 0) throw failure.error
    const results = new Map<Step, 'saved' | 'refused' | Refusal>()
    for (const [index, step] of steps.entries()) {
      results.set(step, saved.has(step) ? 'saved' : failure?.of(index) ?? 'refused')
    }
    return results
  }

  /**
   * Those whose documents bear the id of this change.
   * @param isUncertain The server may have done it and not said so: only what a majority has counts.
   */
  async function savedBy (change: string, steps: Step[], isUncertain: boolean): Promise<Set<Step>> {
    const look = () =>
      jobs[isUncertain ? 'look' : 'findMany']({
        _id: { $in: steps.map(step => toObjectId(step.change.job.id)) },
        'system_manager.change': change
      }, { projection: { _id: 1 } })
    let ours = await look()
    if (isUncertain && ours.length < steps.length) {
      await sleep(LOOK_AGAIN_MS)
      ours = await look()
    }
    const ids = new Set(ours.map(({ _id }) => _id.toHexString()))
    return new Set(steps.filter(step => ids.has(step.change.job.id)))
  }

  /** What stands against a change, by the order of the port. Undefined when nothing does: what did is gone. */
  async function whyNot (step: Step): Promise<CommitOutcome | undefined> {
    const { change: { job }, named: isNamed, shared } = step
    const present = (await readStored([job.id])).get(job.id)
    if (revisionOf(present) !== job.revision || (present && foundByScheduler(present))) return { outcome: 'stale' }
    const others = { _id: { $ne: toObjectId(job.id) } }
    if (
      isNamed && job.desired_state === 'running' &&
      await jobs.findOne({ 'system_manager.live_name': job.job_name, ...others }, { projection: { _id: 1 } })
    ) return { outcome: 'name_taken' }
    const named = [...addressesOf(job)].filter(address => !shared.includes(address))
    const holders = await jobs.findMany({ 'system_manager.addresses': { $in: named }, ...others }, {
      projection: { 'system_manager.addresses': 1 }
    })
    const held = new Set(holders.flatMap(({ system_manager: ours }) => ours?.addresses ?? []))
    const address = named.find(address => !isOurs(step, address) || held.has(address))
    return address === undefined ? undefined : { outcome: 'address_taken', address }
  }

  async function absorb (id: JobId): Promise<void> {
    const document = await jobs.findOne({ _id: toObjectId(id) }, { projection: WITHOUT_HISTORY })
    const found = document && foundByScheduler(document)
    if (!found) return
    const now = new Date().toISOString()
    const job = documents.ofMany(aboutJob(document), () => toJob(document))
    if (!job) return
    const instances = job.instance_list.map(instance =>
      instance.status === found ? { ...instance, status_since: now } : instance
    )
    const change: JobChange = {
      job: { ...job, instance_list: instances, updated_at: now },
      events: [{ time: now, type: 'unplaceable', cause: 'scheduler', message: job.status_reason!, to: found }],
      commands: []
    }
    const step: Step = { ...stepOf(change, document), next: { ...change.job, revision: job.revision + 1 } }
    const result = (await write([step])).get(step)
    if (typeof result === 'object') throw result.failed
    if (result !== 'saved') return
    // Also to those whose change it stood in the way of.
    notifications.emit({ unplaced: true })
    notifications.publish({ unplaced: true })
  }

  async function adopt (document: JobDocument): Promise<boolean> {
    const now = new Date().toISOString()
    const original = documents.ofMany(aboutJob(document), () => toJob(document))
    if (!original) return false
    // It may have been so for years: patience begins now.
    const job: Job = {
      ...original,
      updated_at: now,
      instance_list: original.instance_list.map(instance => ({ ...instance, status_since: now }))
    }
    const adoption: Adoption = { named: true, shared: [] }
    for (;;) {
      const event = {
        time: now,
        type: 'adopted' as const,
        cause: 'system',
        message: `${job.job_name} was there before this System Manager`
      }
      const [outcome] = await commit([{ job, events: [event], commands: [] }], adoption)
      if (outcome?.outcome === 'name_taken') {
        log.warn(
          { job: job.id, job_name: job.job_name },
          'another job has this name too: this one is found by its id only'
        )
        adoption.named = false
      } else if (outcome?.outcome === 'address_taken') {
        const { address } = outcome
        log.warn({ job: job.id, address }, 'another job has this address too: both keep it, and it leads to the other')
        adoption.shared.push(address)
      } else if (outcome?.outcome === 'failed') {
        throw outcome.error
      } else {
        return outcome?.outcome === 'saved'
      }
    }
  }

  return { commit: changes => commit(changes), absorb, adopt }
}

function revisionOf (stored: Stored | undefined): number {
  if (!stored) return 0
  return stored.system_manager?.revision ?? ORIGINAL_REVISION
}
