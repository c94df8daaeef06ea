import type { ClusterId } from '../../../../schemas/cluster.js'
import type { Descriptor } from '../../../../schemas/descriptor.js'
import type { Job, JobId } from '../../../../schemas/job.js'
import { isUnplaced, reservationsOf, type Resources } from '../../../../schemas/job-facts.js'
import type { Movements, Plan, ServicePlan } from '../../../../schemas/plan.js'
import type { ClusterStore } from '../../../../stores/store.js'
import type { EmbeddedScheduler } from '../../../scheduler-client/embedded/scheduler.js'
import type { PlacementDecision } from '../../../scheduler-client/scheduler.js'
import { placed } from '../../state-machine/decisions/placement.js'
import type { Deployer, Preview } from '../deploy.js'
import { jobName } from '../../../../descriptor/name.js'
import { fieldsChanged, instancesChanged, type Difference } from './difference.js'
import { planSummary, serviceSummary } from './sentences.js'

/** Previews a deploy. Writes nothing. */
export interface Planner {
  /**
   * Makes the decisions of {@link Deployer.deploy} and of the placement after it, without storing them: the change of
   * each job up to the first step of an update, and one pass of the embedded scheduler over the current figures. Other
   * jobs that wait for room are not taken into account. The errors are those of a deploy.
   */
  plan (descriptors: readonly Descriptor[], cause: string): Promise<Omit<Plan, 'warnings'>>
}

export function createPlanner ({ preview, scheduler, clusters, decidedBy }: Pick<Deployer, 'preview'> & {
  scheduler: EmbeddedScheduler
  clusters: ClusterStore
  /** The scheduler that places what is really deployed. */
  decidedBy: Plan['scheduler']
}): Planner {
  /** Placement decisions for jobs with unplaced instances, made in the order of a placement pass. */
  async function decisions (previews: Preview[]): Promise<Map<JobId, PlacementDecision>> {
    const asked = previews.map(resulting).filter(job => job.instance_list.some(isUnplaced)).sort((a, b) =>
      a.id < b.id ? -1 : 1
    )
    if (asked.length === 0) return new Map()
    const found = await scheduler.place(asked, reservations(previews))
    return new Map(asked.flatMap(({ id }, index) => {
      const decision = found[index]
      return decision ? [[id, decision]] : []
    }))
  }

  async function namesOf (differences: Difference[]): Promise<(id: ClusterId) => string> {
    const ids = new Set(differences.flatMap(({ placed, moved, renewed, removed }) => [
      ...[...placed, ...renewed, ...removed].map(({ cluster_id: id }) => id),
      ...moved.flatMap(({ from, to }) => to === null ? [from] : [from, to])
    ]))
    const known = await Promise.all([...ids].map(id => clusters.get(id)))
    const names = new Map(
      known.filter(cluster => cluster !== undefined).map(({ id, cluster_name: name }) => [id, name])
    )
    // A cluster that was deleted meanwhile has no name any more: its id stands in.
    return id => names.get(id) ?? id
  }

  return {
    async plan (descriptors, cause) {
      const previews = await preview(descriptors, cause)
      const decided = await decisions(previews)
      const differences = previews.map(preview => {
        const job = resulting(preview)
        const decision = decided.get(job.id)
        const after = decision?.kind === 'placed' ? placed(job, decision, 'scheduler')?.job : undefined
        return instancesChanged(preview.before, after ?? job)
      })
      const nameOf = await namesOf(differences)
      const services = previews.map((preview, index): ServicePlan => {
        const { before, change } = preview
        const descriptor = descriptors[index]!
        const outcome = !before ? 'create' : change ? 'update' : 'unchanged'
        const changes = before ? fieldsChanged(before, descriptor) : []
        const instances = named(differences[index]!, nameOf)
        const explanation = decided.get(resulting(preview).id)?.explanation ?? null
        const name = jobName(descriptor)
        return {
          job_name: name,
          job_id: before?.id ?? null,
          outcome,
          summary: serviceSummary(name, outcome, changes, instances, explanation),
          changes,
          instances,
          explanation
        }
      })
      return { summary: planSummary(services), scheduler: decidedBy, services }
    }
  }
}

/** The job as a deploy would store it, before placement. */
function resulting ({ before, change }: Preview): Job {
  return (change?.job ?? before)!
}

/** How the changes would shift the reservations on each cluster. */
function reservations (previews: Preview[]): Map<ClusterId, Resources> {
  const sums = new Map<ClusterId, Resources>()
  const add = (job: Job, sign: 1 | -1) => {
    for (const [id, { cpu, memory }] of reservationsOf(job)) {
      const sum = sums.get(id) ?? { cpu: 0, memory: 0 }
      sums.set(id, { cpu: sum.cpu + sign * cpu, memory: sum.memory + sign * memory })
    }
  }
  for (const { before, change } of previews) {
    if (!before || !change) continue
    add(before, -1)
    add(change.job, 1)
  }
  return sums
}

function named (
  { placed, moved, renewed, removed, waiting }: Difference,
  nameOf: (id: ClusterId) => string
): Movements {
  const cluster = (id: ClusterId) => ({ cluster_id: id, cluster_name: nameOf(id) })
  const on = (entries: Difference['placed']) =>
    entries.map(({ instance_number, cluster_id: id }) => ({ instance_number, ...cluster(id) }))
  return {
    placed: on(placed),
    moved: moved.map(({ instance_number, from, to }) => ({
      instance_number,
      from: cluster(from),
      to: to === null ? null : cluster(to)
    })),
    renewed: on(renewed),
    removed: on(removed),
    waiting
  }
}
