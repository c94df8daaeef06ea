import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Job } from '../../schemas/job.js'
import { addressesOf, createHistories, jobsOf, settled } from './examination.js'
import { startFleet, type Fleet } from './fleet.js'
import { createLedger, type Ledger } from './ledger.js'
import { startUsers, type Users } from './users.js'

/** Users and clusters at work, and everything that must hold whatever happens to the server meanwhile. */
export interface Work {
  fleet: Fleet
  ledger: Ledger
  users: Users
  /**
   * Makes the users pause and looks for what must not be; {@link go} lets them go on.
   * @param options.isOver Nothing that was not answered can be carried out any more, as after a kill.
   */
  examine(options?: { isOver?: boolean }): Promise<string[]>
  /** Makes the users pause until everything runs exactly once. */
  settle(): Promise<void>
  /** Lets the users go on, and resolves with the first acknowledgement. */
  go(): Promise<void>
  /** Ends the work, waits until everything runs exactly once, and asserts that nothing is wrong. Gives the figures. */
  finish(t: Test): Promise<Record<string, number>>
}

export const CLUSTERS = ['hpi', 'tum', 'eth']

interface Options {
  /** Where users and the examination ask. */
  url: () => string
  /** Where a cluster finds its server; by default, where users do. */
  clusterUrl?: (name: string) => string
  seed: number
  users?: number
  slowness?: number
}

/** Resolves when the bystanders run. */
export async function startWork (t: Test, options: Options): Promise<Work> {
  const { url, clusterUrl = url, seed, users: count = 4, slowness = 1 } = options
  // Not in the fixtures of tap, which go before the clusters do.
  const folder = await mkdtemp(join(tmpdir(), 'faults-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'clusters'))
  const fleet = startFleet(t, {
    names: CLUSTERS,
    urlOf: name => `${clusterUrl(name).replace('http', 'ws')}/register`,
    folder: join(folder, 'clusters')
  })
  await fleet.deployBystanders(url())
  const ledger = createLedger()
  const users = startUsers(t, { url, ledger, seed, count, places: CLUSTERS, slowness })
  const histories = createHistories()
  let addresses = 0

  const ofUsers = (jobs: Job[]) => jobs.filter(({ job_name: name }) => name.startsWith('user'))

  async function findings (jobs: Job[]): Promise<string[]> {
    const leases = addressesOf(jobs)
    addresses = Math.max(addresses, leases.count)
    return [
      ...ledger.contradictions(ofUsers(jobs)),
      ...ledger.complaints,
      ...users.complaints,
      ...leases.twice,
      ...(await histories.gaps(url, jobs)),
      ...fleet.disturbed(),
      ...fleet.disorder
    ]
  }

  return {
    fleet,
    ledger,
    users,

    async examine ({ isOver = false } = {}) {
      await users.pause()
      const jobs = await jobsOf(url)
      const found = await findings(jobs)
      if (isOver && found.length === 0) ledger.settle(ofUsers(jobs))
      return found
    },

    async settle () {
      await users.pause()
      await settled(url, fleet.all)
    },

    async go () {
      const acknowledged = users.acknowledged()
      users.resume()
      await acknowledged
    },

    async finish (t) {
      await users.pause()
      const ms = await settled(url, fleet.all)
      t.same(await findings(await jobsOf(url)), [], 'nothing is wrong in the end')
      t.ok(ledger.figures.acknowledged > 0)
      return {
        ...ledger.figures,
        ...users.unavailable,
        'most addresses': addresses,
        events: histories.events,
        ...fleet.figures,
        'until all run exactly once, ms': ms
      }
    }
  }
}
