import type { Instance } from '../../../schemas/job.js'

/** Most refusals remembered per instance. */
const MAX_REFUSALS = 20

/** Has the cluster that an instance is on not asked again for a while (see scheduler-client/embedded/wish.ts). */
export function rememberRefusal (instance: Instance, error: string, now: string): void {
  instance.refusals = [...instance.refusals, { cluster_id: instance.cluster_id, at: now, error }].slice(-MAX_REFUSALS)
}
