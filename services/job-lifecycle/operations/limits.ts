import type { Config } from '../../../plugins/config.js'
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
  within<T> (changes: ReadonlyArray<Pick<JobChange, 'job'>>, run: () => Promise<T>): Promise<T>
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
  /** What this process is about to commit. */
  underWay: NamespaceUse
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
      { counted: Promise.resolve(nothing()), countedAt: -Infinity, since: nothing(), underWay: nothing() }
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

  /** Takes the room in a namespace. `limit_exceeded` where a count that began since leaves none. */
  async function take (namespace: string, asked: NamespaceUse): Promise<Ledger> {
    const begun = performance.now()
    const ledger = ledgerOf(namespace)
    if (begun - ledger.countedAt > COUNT_MS) recount(namespace, ledger)
    for (;;) {
      const { counted: count } = ledger
      const counted = await count
      if (count !== ledger.counted) continue
      const used = (kind: typeof KINDS[number]) => counted[kind] + ledger.since[kind] + ledger.underWay[kind]
      const excess = KINDS.find(kind => asked[kind] > 0 && used(kind) + asked[kind] > most[kind])
      if (excess === undefined) {
        add(ledger.underWay, asked, 1)
        return ledger
      }
      if (ledger.countedAt >= begun) {
        throw new ApiError(
          'limit_exceeded',
          `${namespace} has ${used(excess)} ${excess} of at most ${most[excess]}, the request asks for ` +
            `${asked[excess]} more`,
          {
            hint: 'Undeploy what is not needed',
            excess: { limit: most[excess], used: used(excess), asked: asked[excess] }
          }
        )
      }
      recount(namespace, ledger)
    }
  }

  async function within<T> (changes: ReadonlyArray<Pick<JobChange, 'job'>>, run: () => Promise<T>): Promise<T> {
    const taken: Array<[Ledger, NamespaceUse]> = []
    let isDone = false
    try {
      for (const [namespace, asked] of askedBy(changes)) taken.push([await take(namespace, asked), asked])
      const result = await run()
      isDone = true
      return result
    } finally {
      for (const [ledger, asked] of taken) {
        add(ledger.underWay, asked, -1)
        if (isDone) add(ledger.since, asked, 1)
      }
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

    within
  }
}

const nothing = (): NamespaceUse => ({ jobs: 0, addresses: 0 })

function add (sum: NamespaceUse, asked: NamespaceUse, sign: 1 | -1): void {
  for (const kind of KINDS) sum[kind] += sign * asked[kind]
}

/** What changes ask for beyond what their jobs have, by namespace: those that ask for nothing are left out. */
function askedBy (changes: ReadonlyArray<Pick<JobChange, 'job'>>): Map<string, NamespaceUse> {
  const asked = new Map<string, NamespaceUse>()
  for (const { job } of changes) {
    const isNew = job.revision === 0 || job.status === 'UNDEPLOYED'
    let addresses = 0
    fillAddresses(job, () => {
      addresses++
      return ''
    })
    if (!isNew && addresses === 0) continue
    const sum = asked.get(job.descriptor.app_ns) ?? nothing()
    add(sum, { jobs: Number(isNew), addresses }, 1)
    asked.set(job.descriptor.app_ns, sum)
  }
  return asked
}
