import type { Job, JobId } from '../../schemas/job.js'
import { addressesOf, fillAddresses, LAST_PLACE, toAddress, toPlace } from '../address-space.js'
import type { CommitOutcome } from '../store.js'
import type { Connection } from './connection.js'

export interface AddressPool {
  /**
   * Makes the addresses that `job` names the ones leased to it, as the port promises: claims, gives back, and fills
   * the empty ones of the job that it returns. To be called inside of a write, and undone when the job is not returned.
   */
  settle (
    job: Job
  ): { outcome: 'settled', job: Job } | Extract<CommitOutcome, { outcome: 'address_taken' | 'addresses_exhausted' }>
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
    UPDATE counters SET value = value + 1 WHERE name = 'next_address' AND value <= ${LAST_PLACE}
    RETURNING value - 1 AS place`)
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
        if (place === undefined || (!held.has(place) && selectHolder.get(place))) {
          return { outcome: 'address_taken', address }
        }
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
      const settled = fillAddresses(job, () => {
        const place = exhausted ? undefined : nextPlace()
        if (place === undefined) {
          exhausted = true
          return ''
        }
        lease.run(place, job.id)
        return toAddress(place)
      })
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
