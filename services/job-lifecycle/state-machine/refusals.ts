import type { Instance } from '../../../schemas/job.js'

/** Most refusals remembered per instance. */
const MAX_REFUSALS = 20

/**
 * Remembers that the cluster an instance is on refused it: the scheduler passes it over for a while (see
 * scheduler-client/embedded/placement-request.ts).
 */
export function rememberRefusal (instance: Instance, error: string, now: string): void {
  const { cluster_id, offered } = instance
  instance.refusals = [...instance.refusals, { cluster_id, at: now, error, offered }].slice(-MAX_REFUSALS)
}
