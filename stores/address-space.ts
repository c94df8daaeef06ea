import type { Job } from '../schemas/job.js'

/**
 * Service and instance addresses are those of 172.30.0.0/16 (contract section 7), each by its offset in it: that
 * of 172.30.1.2 is 258. The first is 1, since 172.30.0.0 and 172.30.255.255 name the network itself. The original gave
 * out 172.30.0.0 all the same: a job that has it keeps it.
 */
export const FIRST_OFFSET = 1
export const LAST_OFFSET = 65534

/** Undefined for an address that cannot be leased. */
export function toOffset (address: string): number | undefined {
  const [, high, low] = /^172\.30\.(\d{1,3})\.(\d{1,3})$/.exec(address) ?? []
  const offset = Number(high) * 256 + Number(low)
  return offset >= FIRST_OFFSET && offset <= LAST_OFFSET && toAddress(offset) === address ? offset : undefined
}

export function toAddress (offset: number): string {
  return `172.30.${offset >> 8}.${offset & 255}`
}

/** Every address that a job names. Instances that a cluster has yet to remove keep theirs. */
export function addressesOf (job: Job): Set<string> {
  const addresses = new Set([
    ...job.service_ip_list.map(({ Address }) => Address),
    ...job.instance_list.map(instance => instance.instance_ip),
    ...job.retiring.flatMap(({ instances }) => instances.map(instance => instance.instance_ip))
  ])
  addresses.delete('')
  return addresses
}

/** The job with each empty address replaced by the next of `next`. */
export function fillAddresses (job: Job, next: () => string): Job {
  const filled = (address: string) => address === '' ? next() : address
  return {
    ...job,
    service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: filled(entry.Address) })),
    instance_list: job.instance_list.map(instance => ({ ...instance, instance_ip: filled(instance.instance_ip) }))
  }
}

/**
 * Subnets of 64 addresses from 172.18.0.0 up to 172.29.255.192, counted from 0; 172.30.0.0/16 is for services and
 * instances.
 */
const SUBNET_SIZE = 64
const FIRST_NETWORK = 18
export const SUBNETS = (30 - FIRST_NETWORK) * 65536 / SUBNET_SIZE

export function toSubnet (number: number): string {
  const offset = number * SUBNET_SIZE
  return `172.${FIRST_NETWORK + (offset >> 16)}.${offset >> 8 & 255}.${offset & 255}`
}

/** The number of a subnet by its first address; undefined for what is none. */
export function subnetNumberOf (subnet: string): number | undefined {
  const number = subnetNumber(subnet.split('.').map(Number))
  return number >= 0 && number < SUBNETS && toSubnet(number) === subnet ? number : undefined
}

/** The number of the subnet that an address is in; past the end for one beyond the range, NaN for half an address. */
export function subnetNumber ([, network = NaN, high = NaN, low = NaN]: readonly number[]): number {
  return Math.floor(((network - FIRST_NETWORK) * 65536 + high * 256 + low) / SUBNET_SIZE)
}
