import type { Job, JobId } from '../../schemas/job.js'
import type { CommitOutcome } from '../store.js'
import type { Connection } from './connection.js'

/** The last place of the pool: 172.30.255.254. The first is 1; 172.30.0.0 and 172.30.255.255 name the network itself. */
const LAST_PLACE = 65534

export interface AddressPool {
  /**
   * Makes the addresses that `job` names the ones leased to it, as the port promises: claims, gives back, and fills
   * the empty ones of the job that it returns. To be called inside of a write, and undone when the job is not returned.
   */
  settle (job: Job): { outcome: 'settled', job: Job } | Extract<CommitOutcome, { outcome: 'address_taken' | 'addresses_exhausted' }>
  /** Gives back all addresses of a job; to be called inside of a write. */
  release (jobId: JobId): void
  /** The job that holds this address; undefined also for one that is not of the pool. To be called inside of a read. */
  holder (address: string): JobId | undefined
}

/**
 * Service and instance addresses of 172.30.0.0/16 (contract section 7). Caches of the clusters may know an address for
 * a while after its service is gone, so none is leased a second time while another was never leased; then the one that
 * has been free the longest comes first.
 */
export function createAddressPool ({ prepare }: Connection): AddressPool {
  const selectHeld = prepare<{ address: number }>('SELECT address FROM addresses WHERE job_id = ?')
  const selectHolder = prepare<{ job_id: JobId }>('SELECT job_id FROM addresses WHERE address = ?')
  const selectFreed = prepare('SELECT 1 FROM freed_addresses WHERE address = ?')
  const lease = prepare('INSERT INTO addresses (address, job_id) VALUES (?, ?)')
  const unlease = prepare('DELETE FROM addresses WHERE address = ?')
  const free = prepare('INSERT INTO freed_addresses (address) VALUES (?)')
  const unfree = prepare('DELETE FROM freed_addresses WHERE address = ?')
  const advance = prepare<{ place: number }>(`
    UPDATE counters SET value = value + 1 WHERE name = 'next_address' AND value <= ${LAST_PLACE} RETURNING value - 1 AS place`)
  const takeFreed = prepare<{ address: number }>(`
    DELETE FROM freed_addresses WHERE turn = (SELECT min(turn) FROM freed_addresses) RETURNING address`)

  function giveBack (place: number): void {
    unlease.run(place)
    free.run(place)
  }

  /** The next place to lease, undefined when all are leased. */
  function nextPlace (): number | undefined {
    for (let next = advance.get(); next; next = advance.get()) {
      // Claimed ahead of its turn, and perhaps given back since.
      if (!selectHolder.get(next.place) && !selectFreed.get(next.place)) return next.place
    }
    return takeFreed.get()?.address
  }

  return {
    settle (job) {
      const held = new Set(selectHeld.all(job.id).map(({ address }) => address))
      const named = new Set<number>()
      for (const address of addressesOf(job)) {
        const place = toPlace(address)
        if (place === undefined || (!held.has(place) && selectHolder.get(place))) return { outcome: 'address_taken', address }
        named.add(place)
      }
      for (const place of named) {
        if (held.has(place)) continue
        unfree.run(place)
        lease.run(place, job.id)
      }
      for (const place of held) {
        if (!named.has(place)) giveBack(place)
      }

      let exhausted = false
      const filled = (address: string): string => {
        if (address !== '' || exhausted) return address
        const place = nextPlace()
        if (place === undefined) {
          exhausted = true
          return address
        }
        lease.run(place, job.id)
        return toAddress(place)
      }
      const settled = {
        ...job,
        service_ip_list: job.service_ip_list.map(entry => ({ ...entry, Address: filled(entry.Address) })),
        instance_list: job.instance_list.map(instance => ({ ...instance, instance_ip: filled(instance.instance_ip) }))
      }
      return exhausted ? { outcome: 'addresses_exhausted' } : { outcome: 'settled', job: settled }
    },

    release (jobId) {
      for (const { address } of selectHeld.all(jobId)) giveBack(address)
    },

    holder (address) {
      const place = toPlace(address)
      return place === undefined ? undefined : selectHolder.get(place)?.job_id
    }
  }
}

/** Every address that a job names. Instances that a cluster has yet to remove keep theirs. */
function addressesOf (job: Job): Set<string> {
  const addresses = new Set([
    ...job.service_ip_list.map(({ Address }) => Address),
    ...job.instance_list.map(instance => instance.instance_ip),
    ...job.retiring.flatMap(({ instances }) => instances.map(instance => instance.instance_ip))
  ])
  addresses.delete('')
  return addresses
}

/** Undefined for an address that the pool cannot lease. */
function toPlace (address: string): number | undefined {
  const [, high, low] = /^172\.30\.(\d{1,3})\.(\d{1,3})$/.exec(address) ?? []
  const place = Number(high) * 256 + Number(low)
  return place >= 1 && place <= LAST_PLACE && toAddress(place) === address ? place : undefined
}

function toAddress (place: number): string {
  return `172.30.${place >> 8}.${place & 255}`
}
