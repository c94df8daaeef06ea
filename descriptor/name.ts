import type { Descriptor } from '../schemas/descriptor.js'

/** The four parts of a job's name, in order (contract section 6). */
export const NAME_PARTS = ['app_name', 'app_ns', 'service_name', 'service_ns'] as const

/** Name of the job that a descriptor describes: `app_name.app_ns.service_name.service_ns`. */
export function jobName (descriptor: Pick<Descriptor, typeof NAME_PARTS[number]>): string {
  return NAME_PARTS.map(part => descriptor[part]).join('.')
}
