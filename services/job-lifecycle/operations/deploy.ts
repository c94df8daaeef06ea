import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Job } from '../../../schemas/job.js'
import type { Requester } from '../../../plugins/requester.js'
import type { JobChange, JobStore } from '../../../stores/store.js'
import { MAX_TRIES, refusalOf, type Committer } from '../commit.js'
import { created, revived } from '../state-machine/decisions/deploy.js'
import { undeploying } from '../state-machine/decisions/undeploy.js'
import { jobName } from '../../../descriptor/name.js'
import type { Limits } from './limits.js'

/** Deploys services from their descriptors (contract section 6). */
export interface Deployer {
  /**
   * Creates the job of each descriptor, or updates the live job of that name. One that is undeployed or being removed
   * is deployed again under its id. A repeated descriptor changes nothing.
   * All jobs are durable when it resolves. Placement follows in the background.
   *
   * Several descriptors are deployed all or none: a requested address that is taken is found before anything is
   * written. If the store refuses one later, the jobs just created are removed again. Jobs just updated stay updated,
   * and the error names them; deploying the same descriptors again completes the rest.
   * @returns One result per descriptor, in the same order. Errors: `address_taken`, `addresses_exhausted`,
   *   `limit_exceeded`, `conflict`.
   */
  deploy (descriptors: readonly Descriptor[], by: Requester): Promise<Deployed[]>
  /**
   * What {@link Deployer.deploy} would do with these descriptors. Writes nothing. Errors: `address_taken`,
   * `limit_exceeded`.
   */
  preview (descriptors: readonly Descriptor[], cause: string): Promise<Preview[]>
}

export interface Deployed {
  job: Job
  outcome: 'created' | 'updated' | 'unchanged'
}

export interface Preview {
  /** The live job of this name. */
  before: Job | undefined
  /** Undefined when the job already matches its descriptor. */
  change: JobChange | undefined
}

/** @param updating Decides how a live job changes to a new descriptor. */
export function createDeployer ({ jobs, committer: { commit, change }, limits, updating }: {
  jobs: JobStore
  committer: Committer
  limits: Limits
  updating: (job: Job, descriptor: Descriptor, cause: string) => Promise<JobChange | undefined>
}): Deployer {
  /** Deploys those of these descriptors that are not deployed yet, as far as one commit goes. */
  async function commitOnce (
    descriptors: readonly Descriptor[],
    deployed: Map<Descriptor, Deployed>,
    by: Requester
  ): Promise<void> {
    const rest = descriptors.filter(descriptor => !deployed.has(descriptor))
    const pending: Array<{ descriptor: Descriptor, before: Job | undefined, change: JobChange }> = []
    for (const [index, { before, change }] of (await deployer.preview(rest, by.cause)).entries()) {
      const descriptor = rest[index]!
      if (change) pending.push({ descriptor, before, change })
      else if (before) deployed.set(descriptor, { job: before, outcome: 'unchanged' })
    }
    if (pending.length > 0) await by.confirm()
    const changes = pending.map(({ change }) => change)
    const outcomes = await limits.within(changes, () => commit(changes))
    for (const [index, { descriptor, before }] of pending.entries()) {
      const outcome = outcomes[index]
      if (outcome?.outcome === 'saved') {
        deployed.set(descriptor, { job: outcome.job, outcome: before ? 'updated' : 'created' })
      }
    }
    // What is deployed stays: who repeats the request finds it unchanged.
    const failed = outcomes.find(({ outcome }) => outcome === 'failed')
    if (failed?.outcome === 'failed') throw failed.error
    const refusal = outcomes.map(refusalOf).find(found => found !== undefined)
    if (refusal) throw descriptors.length === 1 ? refusal : await undone(refusal, [...deployed.values()], by.cause)
  }

  const deployer: Deployer = {
    async deploy (descriptors, by) {
      const deployed = new Map<Descriptor, Deployed>()
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        try {
          await commitOnce(descriptors, deployed, by)
        } catch (err) {
          // Another request may have created meanwhile what there is no room for a second time.
          if (tries === 0 && err instanceof ApiError && err.code === 'limit_exceeded') continue
          throw err
        }
        if (deployed.size === descriptors.length) return descriptors.map(descriptor => deployed.get(descriptor)!)
      }
      throw new ApiError('conflict', `${descriptors.map(jobName).join(', ')} kept changing`, { hint: 'Try again' })
    },

    async preview (descriptors, cause) {
      limits.checkRequest(descriptors)
      const previews = await Promise.all(descriptors.map(async descriptor => {
        const known = await jobs.byName(jobName(descriptor))
        if (!known) return { before: undefined, change: created(descriptor, cause) }
        if (known.desired_state !== 'running') return { before: undefined, change: revived(known, descriptor, cause) }
        return { before: known, change: await updating(known, descriptor, cause) }
      }))
      await refuseTaken(previews)
      await limits.check(previews.flatMap(({ change }) => change ?? []))
      return previews
    }
  }

  /**
   * Refuses a requested address that another job holds. One held by a job of this very request may become free with it:
   * the store decides.
   */
  async function refuseTaken (previews: Preview[]): Promise<void> {
    const own = new Set(previews.map(({ before, change }) => change?.job.id ?? before?.id))
    await Promise.all(previews.map(async ({ change }) => {
      const address = change?.job.descriptor.RR_ip
      const holder = address && await jobs.byAddress(address)
      if (holder && !own.has(holder.id)) throw refusalOf({ outcome: 'address_taken', address })
    }))
  }

  /** Removes the jobs that were created. @returns The error, which names the jobs that stay updated. */
  async function undone (refusal: ApiError, deployed: Deployed[], cause: string): Promise<ApiError> {
    const ofOutcome = (expected: Deployed['outcome']) =>
      deployed.filter(({ outcome }) => outcome === expected).map(({ job }) => job)
    await Promise.all(ofOutcome('created').map(({ id }) => change(id, job => undeploying(job, cause))))
    const updated = ofOutcome('updated').map(({ job_name: name }) => name)
    return new ApiError(
      refusal.code,
      `${refusal.message}: nothing was ` +
        `created${updated.length > 0 ? `; updated, and left so: ${updated.join(', ')}` : ''}`,
      {
        hint: [refusal.hint, 'Send the same file again to deploy the rest'].filter(Boolean).join('. '),
        cause: refusal
      }
    )
  }

  return deployer
}
