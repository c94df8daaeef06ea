import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import type { Job } from '../../../schemas/job.js'
import type { JobChange, JobStore } from '../../../stores/store.js'
import { MAX_TRIES, refusalOf, type Committer } from '../commit.js'
import { created } from '../state-machine/decisions/deploy.js'
import { undeploying } from '../state-machine/decisions/undeploy.js'
import { jobName } from '../../../descriptor/name.js'

/** What becomes of services that users describe. */
export interface Deployer {
  /**
   * Creates the job of each descriptor, or brings the live job of its name to it; the same descriptor again changes
   * nothing. All is durable when it resolves, in the order of the descriptors; the placement follows by itself.
   *
   * Of several, all or none: an address wished for that is taken is found before anything is written. What only the
   * store can find out after that undoes the jobs that were created; one that was updated stays so, and the error
   * names it. The same descriptors again then do the rest.
   */
  deploy (descriptors: readonly Descriptor[], cause: string): Promise<Deployed[]>
  /**
   * What {@link Deployer.deploy} would make of descriptors: nothing is written. `address_taken` as it would be there.
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
  /** Undefined when the job is as described. */
  change: JobChange | undefined
}

/** @param updating Decides on a live job of the same name. */
export function createDeployer ({ jobs, committer: { commit, change }, updating }: {
  jobs: JobStore
  committer: Committer
  updating: (job: Job, descriptor: Descriptor, cause: string) => Promise<JobChange | undefined>
}): Deployer {
  const deployer: Deployer = {
    async deploy (descriptors, cause) {
      const deployed = new Map<Descriptor, Deployed>()
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const rest = descriptors.filter(descriptor => !deployed.has(descriptor))
        const pending: Array<{ descriptor: Descriptor, before: Job | undefined, change: JobChange }> = []
        for (const [index, { before, change }] of (await deployer.preview(rest, cause)).entries()) {
          const descriptor = rest[index]!
          if (change) pending.push({ descriptor, before, change })
          else if (before) deployed.set(descriptor, { job: before, outcome: 'unchanged' })
        }
        const outcomes = await commit(pending.map(({ change }) => change))
        for (const [index, { descriptor, before }] of pending.entries()) {
          const outcome = outcomes[index]
          if (outcome?.outcome === 'saved') {
            deployed.set(descriptor, { job: outcome.job, outcome: before ? 'updated' : 'created' })
          }
        }
        const refusal = outcomes.map(refusalOf).find(found => found !== undefined)
        if (refusal) throw descriptors.length === 1 ? refusal : await undone(refusal, [...deployed.values()], cause)
        if (deployed.size === descriptors.length) return descriptors.map(descriptor => deployed.get(descriptor)!)
      }
      throw new ApiError('conflict', `${descriptors.map(jobName).join(', ')} kept changing`, { hint: 'Try again' })
    },

    async preview (descriptors, cause) {
      const previews = await Promise.all(descriptors.map(async descriptor => {
        const live = await jobs.byName(jobName(descriptor))
        if (live?.desired_state !== 'running') return { before: undefined, change: created(descriptor, cause) }
        return { before: live, change: await updating(live, descriptor, cause) }
      }))
      await refuseTaken(previews)
      return previews
    }
  }

  /** Of those that hold an address, these jobs may be giving it up at the same time: the store will see. */
  async function refuseTaken (previews: Preview[]): Promise<void> {
    const own = new Set(previews.map(({ before }) => before?.id))
    await Promise.all(previews.map(async ({ change }) => {
      const address = change?.job.descriptor.RR_ip
      const holder = address && await jobs.byAddress(address)
      if (holder && !own.has(holder.id)) throw refusalOf({ outcome: 'address_taken', address })
    }))
  }

  /** Removes what was created, and gives the error that tells what stays. */
  async function undone (refusal: ApiError, deployed: Deployed[], cause: string): Promise<ApiError> {
    const ofOutcome = (wanted: Deployed['outcome']) =>
      deployed.filter(({ outcome }) => outcome === wanted).map(({ job }) => job)
    await Promise.all(ofOutcome('created').map(({ id }) => change(id, job => undeploying(job, cause))))
    const updated = ofOutcome('updated').map(({ job_name: name }) => name)
    return new ApiError(
      refusal.code,
      `${refusal.message}: nothing was ` +
        `created${updated.length > 0 ? `; updated, and left so: ${updated.join(', ')}` : ''}`,
      {
        hint: [refusal.hint, 'The same file again does the rest'].filter(Boolean).join('. '),
        cause: refusal
      }
    )
  }

  return deployer
}
