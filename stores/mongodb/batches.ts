import { setTimeout as sleep } from 'node:timers/promises'
import { isOutage } from './failures.js'

interface Waiting<T, R> {
  item: T
  resolve (result: R): void
  reject (err: unknown): void
}

/** Milliseconds after which a batch is not waited for by the next one: one that hangs holds up no other. */
const SLOW_MS = 100

/**
 * Makes one function of many items into one of a single item: calls that come while a batch is under way share the
 * next one, so that a crowd costs a few round trips instead of one each. `work` gives results in the order of the
 * items. When it fails for another reason than the database, each item is tried alone: one that cannot be done spoils
 * no other.
 * @param most Items in one batch.
 */
export function inBatches<T, R> (work: (items: T[]) => Promise<R[]>, most = 1000): (item: T) => Promise<R> {
  const queue: Array<Waiting<T, R>> = []
  let isRunning = false

  async function run (): Promise<void> {
    isRunning = true
    // What is asked for in the same turn belongs together.
    await Promise.resolve()
    while (queue.length > 0) {
      const slow = new AbortController()
      await Promise.race([
        workOn(queue.splice(0, most)).finally(() => slow.abort()),
        sleep(SLOW_MS, undefined, { signal: slow.signal }).catch(() => {})
      ])
    }
    isRunning = false
  }

  async function workOn (batch: Array<Waiting<T, R>>): Promise<void> {
    try {
      const results = await work(batch.map(({ item }) => item))
      for (const [index, { resolve }] of batch.entries()) resolve(results[index]!)
    } catch (err) {
      if (batch.length === 1 || isOutage(err)) {
        for (const { reject } of batch) reject(err)
        return
      }
      await Promise.all(
        batch.map(({ item, resolve, reject }) => work([item]).then(([result]) => resolve(result!), reject))
      )
    }
  }

  return item =>
    new Promise((resolve, reject) => {
      queue.push({ item, resolve, reject })
      if (!isRunning) run()
    })
}
