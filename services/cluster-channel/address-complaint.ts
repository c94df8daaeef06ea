import type { FastifyBaseLogger } from 'fastify'
import type { ClusterRegistration } from '../../schemas/cluster.js'
import type { Complaint } from './frames.js'

/**
 * The complaint about the address that a cluster of the raw channel advertises, if it may not be called there. One that
 * advertises none is not called at all: where it comes from is only noted.
 */
export async function addressComplaint (
  { addressRefusal }: { addressRefusal (address: string): Promise<string | undefined> },
  { advertise_address: advertised }: ClusterRegistration,
  { address, log }: { address: string, log: FastifyBaseLogger }
): Promise<Complaint | undefined> {
  const refusal = await addressRefusal(advertised ?? address)
  if (refusal === undefined) return undefined
  if (advertised) return { code: 'address_refused', message: `data.advertise_address: ${refusal}`, event: 'cs1' }
  log.info({ address }, 'a cluster outside of CLUSTER_NETWORKS gets its commands over its channel only')
  return undefined
}
