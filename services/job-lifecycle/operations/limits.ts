import type { Config } from '../../../schemas/config.js'
import type { Descriptor } from '../../../schemas/descriptor.js'
import { ApiError } from '../../../schemas/errors.js'
import type { JobChange, JobStore, NamespaceUse } from '../../../stores/store.js'
import { fillAddresses } from '../../../stores/address-space.js'

/** Keeps one user from taking what all share: instances in one request, jobs and addresses of one namespace. */
export interface Limits {
  /** Refuses descriptors with more instances than one request may ask for: `limit_exceeded`. */
  checkRequest (descriptors: readonly Descriptor[]): void
  /**
   * Refuses changes for which their namespaces have no room (`limit_exceeded`), and keeps it for them while `run`
   * commits them.
   */
  within<T> (changes: readonly Change[], run: () => Promise<T>): Promise<T>
  /** The same, for changes that are only looked at. */
  check (changes: readonly Change[]): Promise<void>
}

export type LimitSettings = Pick<
  Config,
  'MAX_INSTANCES_PER_REQUEST' | 'MAX_ADDRESSES_PER_NAMESPACE' | 'MAX_JOBS_PER_NAMESPACE'
>

/** What is known of one namespace. */
interface Ledger {
  /** As the store counted it last. */
  counted: Promise<NamespaceUse>
  /** When that count began, monotonic milliseconds. */
  countedAt: number
  /** What this process has committed since. What was undeployed since is not taken off. */
  since: NamespaceUse
  /** What this process is about to commit, by the name of the job: of several requests for one, the largest counts. */
  underWay: Map<string, { asked: NamespaceUse, requests: number }>
}

const KINDS = ['jobs', 'addresses'] as const

/** Milliseconds after which what other processes let in has to be counted. */
const COUNT_MS = 5000

/** Namespaces that are remembered. */
const MAX_LEDGERS = 1000

export function createLimits (jobs: Pick<JobStore, 'used'>, settings: LimitSettings): Limits {
  const most: NamespaceUse = {
    jobs: settings.MAX_JOBS_PER_NAMESPACE,
    addresses: settings.MAX_ADDRESSES_PER_NAMESPACE
  }
  const ledgers = new Map<string, Ledger>()

  function ledgerOf (namespace: string): Ledger {
    const ledger = ledgers.get(namespace) ??
      { counted: Promise.resolve(nothing()), countedAt: -Infinity, since: nothing(), underWay: new Map() }
    ledgers.delete(namespace)
    ledgers.set(namespace, ledger)
    if (ledgers.size > MAX_LEDGERS) ledgers.delete(ledgers.keys().next().value!)
    return ledger
  }

  function recount (namespace: string, ledger: Ledger): void {
    ledger.counted = jobs.used(namespace)
    ledger.countedAt = performance.now()
    ledger.since = nothing()
    // Who waits for it hears of it; the next one counts again.
    ledger.counted.catch(() => {
      ledger.countedAt = -Infinity
    })
  }

  /** Passes where there is room. `limit_exceeded` where a count that began since leaves none. */
  async function room (namespace: string, wishes: readonly Wish[]): Promise<Ledger> {
    const begun = performance.now()
    const ledger = ledgerOf(namespace)
    if (begun - ledger.countedAt > COUNT_MS) recount(namespace, ledger)
    for (;;) {
      const { counted: count } = ledger
      const counted = await count
      if (count !== ledger.counted) continue
      const used = sumOf([counted, ledger.since, ...[...ledger.underWay.values()].map(({ asked }) => asked)])
      // What another request asks for already for the same job is no more by this one.
      const asked = sumOf(wishes.map(wish => beyond(wish.asked, ledger.underWay.get(wish.jobName)?.asked)))
      const excess = KINDS.find(kind => asked[kind] > 0 && used[kind] + asked[kind] > most[kind])
      if (excess === undefined) return ledger
      if (ledger.countedAt >= begun) {
        throw new ApiError(
          'limit_exceeded',
          `${namespace} has ${used[excess]} ${excess} of at most ${most[excess]}, the request asks for ` +
            `${asked[excess]} more`,
          {
            hint: 'Undeploy what is not needed',
            excess: { limit: most[excess], used: used[excess], asked: asked[excess] }
          }
        )
      }
      recount(namespace, ledger)
    }
  }

  /** Takes the room for wishes. @returns Gives it back; `isDone` where they were committed. */
  function take (ledger: Ledger, wishes: readonly Wish[]): (isDone: boolean) => void {
    for (const { jobName, asked } of wishes) {
      const entry = ledger.underWay.get(jobName) ?? { asked: nothing(), requests: 0 }
      entry.asked = sumOf([entry.asked, beyond(asked, entry.asked)])
      entry.requests++
      ledger.underWay.set(jobName, entry)
    }
    return isDone => {
      for (const { jobName, asked } of wishes) {
        const entry = ledger.underWay.get(jobName)!
        if (--entry.requests === 0) ledger.underWay.delete(jobName)
        if (isDone) ledger.since = sumOf([ledger.since, asked])
      }
    }
  }

  async function within<T> (changes: readonly Change[], run: () => Promise<T>): Promise<T> {
    const taken: Array<(isDone: boolean) => void> = []
    let isDone = false
    try {
      for (const [namespace, wishes] of wishesOf(changes)) {
        taken.push(take(await room(namespace, wishes), wishes))
      }
      const result = await run()
      isDone = true
      return result
    } finally {
      for (const giveBack of taken) giveBack(isDone)
    }
  }

  return {
    checkRequest (descriptors) {
      const limit = settings.MAX_INSTANCES_PER_REQUEST
      const asked = descriptors.reduce((sum, { replicas = 1 }) => sum + replicas, 0)
      if (asked <= limit) return
      throw new ApiError('limit_exceeded', `One request may ask for ${limit} instances, this one for ${asked}`, {
        hint: 'Deploy fewer services at a time',
        excess: { limit, used: 0, asked }
      })
    },

    async check (changes) {
      for (const [namespace, wishes] of wishesOf(changes)) await room(namespace, wishes)
    },

    within
  }
}

const nothing = (): NamespaceUse => ({ jobs: 0, addresses: 0 })

function sumOf (uses: readonly NamespaceUse[]): NamespaceUse {
  return uses.reduce(
    (sum, { jobs, addresses }) => ({ jobs: sum.jobs + jobs, addresses: sum.addresses + addresses }),
    nothing()
  )
}

/** What is asked for beyond what is already. */
function beyond (asked: NamespaceUse, already = nothing()): NamespaceUse {
  return {
    jobs: Math.max(0, asked.jobs - already.jobs),
    addresses: Math.max(0, asked.addresses - already.addresses)
  }
}

type Change = Pick<JobChange, 'job'>

/** What a change asks for beyond what its job has. */
interface Wish {
  jobName: string
  asked: NamespaceUse
}

/** By namespace, without changes that ask for nothing. */
function wishesOf (changes: readonly Change[]): Map<string, Wish[]> {
  const wishes = new Map<string, Wish[]>()
  for (const { job } of changes) {
    const isNew = job.revision === 0 || job.status === 'UNDEPLOYED'
    let addresses = 0
    fillAddresses(job, () => {
      addresses++
      return ''
    })
    if (!isNew && addresses === 0) continue
    const { app_ns: namespace } = job.descriptor
    const wish = { jobName: job.job_name, asked: { jobs: Number(isNew), addresses } }
    wishes.set(namespace, [...wishes.get(namespace) ?? [], wish])
  }
  return wishes
}
