import type { Job, JobId } from '../../schemas/job.js'
import { addressesOf, fillAddresses, LAST_OFFSET, toAddress, toOffset } from '../address-space.js'
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
  const advance = prepare<{ next: number }>(`
    UPDATE counters SET value = value + 1 WHERE name = 'next_address' AND value <= ${LAST_OFFSET}
    RETURNING value - 1 AS next`)
  const takeFreed = prepare<{ address: number }>(`
    DELETE FROM freed_addresses WHERE turn = (SELECT min(turn) FROM freed_addresses) RETURNING address`)

  function giveBack (offset: number): void {
    unlease.run(offset)
    free.run(offset)
  }

  /** The next offset to lease, undefined when all are leased. */
  function nextOffset (): number | undefined {
    for (let turn = advance.get(); turn; turn = advance.get()) {
      // Claimed ahead of its turn, and perhaps given back since.
      if (!selectHolder.get(turn.next) && !selectFreed.get(turn.next)) return turn.next
    }
    return takeFreed.get()?.address
  }

  return {
    settle (job) {
      const held = new Set(selectHeld.all(job.id).map(({ address }) => address))
      const named = new Set<number>()
      for (const address of addressesOf(job)) {
        const offset = toOffset(address)
        if (offset === undefined || (!held.has(offset) && selectHolder.get(offset))) {
          return { outcome: 'address_taken', address }
        }
        named.add(offset)
      }
      for (const offset of named) {
        if (held.has(offset)) continue
        unfree.run(offset)
        lease.run(offset, job.id)
      }
      for (const offset of held) {
        if (!named.has(offset)) giveBack(offset)
      }

      let exhausted = false
      const settled = fillAddresses(job, () => {
        const offset = nextOffset()
        if (offset === undefined) {
          exhausted = true
          return ''
        }
        lease.run(offset, job.id)
        return toAddress(offset)
      })
      return exhausted ? { outcome: 'addresses_exhausted' } : { outcome: 'settled', job: settled }
    },

    release (jobId) {
      for (const { address } of selectHeld.all(jobId)) giveBack(address)
    },

    holder (address) {
      const offset = toOffset(address)
      return offset === undefined ? undefined : selectHolder.get(offset)?.job_id
    }
  }
}
