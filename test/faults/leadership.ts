import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { rawMongo } from '../service/stores/mongo-store.js'

const LEASES = ['reconciler', 'http-push']

/** Milliseconds between two looks, and that one may take. */
const LOOK_MS = 100
const ANSWER_MS = 1000

/** Watches who leads, from the processes' point of view and from the database's. */
export interface Leadership {
  /** Two that led at once, a token with two holders, a token that fell. */
  faults: string[]
  readonly figures: { looks: number; leaders: number }
}

/** @param urls Where the processes are that can be asked now. */
export async function watchLeadership (t: Test, uri: string, urls: () => string[]): Promise<Leadership> {
  const { leases } = await rawMongo(t, uri)
  const holders = new Map<string, string>()
  const highest = new Map<string, number>()
  const faults: string[] = []
  const figures = { looks: 0, leaders: 0 }
  const state = { isOver: false }

  async function stored (): Promise<void> {
    for (const { _id: name, holder, token } of await leases.find({ _id: { $in: LEASES } }).toArray()) {
      if (!holder) continue
      const key = `${name} ${token}`
      const other = holders.get(key)
      if (other !== undefined && other !== holder) faults.push(`${key} is of ${other} and of ${holder}`)
      if (token < (highest.get(name) ?? 0)) faults.push(`${key} after ${highest.get(name)}`)
      holders.set(key, holder)
      highest.set(name, token)
    }
    figures.leaders = holders.size
  }

  /** Who says that it leads, for each lease. */
  async function claims (): Promise<Array<Set<string>>> {
    const leading = await Promise.all(
      urls().map(async url => {
        try {
          const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(ANSWER_MS) })
          const { checks } = (await answer.json()) as { checks: Array<{ name: string; detail: string }> }
          const { detail = '' } = checks.find(({ name }) => name === 'leadership') ?? {}
          return { url, led: /^leads: ([^;]*)/.exec(detail)?.[1]?.split(', ') ?? [] }
        } catch {
          return { url, led: [] }
        }
      })
    )
    return LEASES.map(lease => new Set(leading.filter(({ led }) => led.includes(lease)).map(({ url }) => url)))
  }

  /** Who leads before and after another one leads has led at the same time. */
  async function look (): Promise<void> {
    const [before, between, after] = [await claims(), await claims(), await claims()]
    LEASES.forEach((lease, index) => {
      const lasting = [...before![index]!].filter(url => after![index]!.has(url))
      for (const one of lasting) {
        for (const other of between![index]!) {
          if (one !== other) faults.push(`${one} and ${other} led at once (${lease})`)
        }
      }
    })
    figures.looks++
  }

  async function watch (): Promise<void> {
    while (!state.isOver) {
      await stored()
      await look()
      await sleep(LOOK_MS)
    }
  }
  const watching = watch()
  watching.catch((err: Error) => faults.push(String(err.stack)))
  t.teardown(async () => {
    state.isOver = true
    await watching.catch(() => {})
  })
  return { faults, figures }
}
