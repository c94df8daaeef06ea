import { isDeepStrictEqual } from 'node:util'
import type { Job } from '../../schemas/job.js'

/** What a user wants of a service. */
export interface Wanted {
  running: boolean
  image: string
  replicas: number
}

/** What a user asks for. A rollback names the image that it leads back to. */
export type Change =
  | { kind: 'deploy'; image: string; replicas: number }
  | { kind: 'scale'; replicas: number }
  | { kind: 'rollback'; image: string }
  | { kind: 'undeploy' }

/** What the book has of one service. `undefined` stands for a service that does not exist. */
interface Page {
  id: string | undefined
  /** What may stand after the last answer: one, unless that answer did not tell. */
  possible: Array<Wanted | undefined>
  /** Asked for and not answered: each may have been carried out, or may yet be. */
  open: Change[]
  /** How many replicas each image was sent with. */
  sent: Map<string, number>
}

/**
 * The book of what users asked for and what was acknowledged. It knows nothing of how the server decides: only that an
 * acknowledged change stands until the next one, and that one without an answer may stand or not.
 */
export interface Ledger {
  /** Enters what is about to be asked for, of one service or several. Call one of the three when it is known. */
  ask(names: string[], change: Change): Entry
  /** What contradicts the book: changes that are lost, that came back, that nobody asked for. Users must pause. */
  contradictions(jobs: Job[]): string[]
  /** Takes what is there for what counts: nothing that was not answered can be carried out any more. */
  settle(jobs: Job[]): void
  /** From now on, what is acknowledged may be lost, since a test is going to take it away; undone by {@link settle}. */
  doubt(): void
  /** Whether some answer was contradictory in itself. */
  complaints: string[]
  /**
   * `in part`: deploys of several services that nobody answered and that were carried out for some of them. What users
   * are promised is all or none; this counts, and does not complain, since each job is committed on its own.
   */
  readonly figures: { acknowledged: number; unanswered: number; refused: number; 'in part': number }
}

/** What an answer shows of a service. */
export type Shown = Partial<Wanted> & { id: string; name: string }

/** What came of a change that was asked for. Nothing, if it was never sent. */
interface Entry {
  /** @param answers What the answer shows of each service, where it shows it. */
  acknowledge(answers?: Shown[]): void
  /** 4xx: nothing was changed. */
  refuse(): void
  leaveOpen(): void
}

export function createLedger (): Ledger {
  const pages = new Map<string, Page>()
  const figures = { acknowledged: 0, unanswered: 0, refused: 0, 'in part': 0 }
  const complaints: string[] = []
  /** Deploys of several services that nobody answered, until one is asked for more: all of them, or none. */
  let groups: Array<{ names: string[]; image: string }> = []
  let isDoubtful = false

  function pageOf (name: string): Page {
    const page = pages.get(name) ?? { id: undefined, possible: [undefined], open: [], sent: new Map() }
    pages.set(name, page)
    return page
  }

  function acknowledge (name: string, change: Change, shown: Partial<Wanted> & { id?: string }): void {
    const page = pageOf(name)
    const { id, ...wanted } = shown
    if (id !== undefined && page.id !== undefined && id !== page.id) {
      complaints.push(`${name} was ${page.id}, and is answered as ${id}`)
    }
    page.id ??= id
    if (isDoubtful) {
      page.open.push(change)
      return
    }
    const before = reachable(page).filter(state => change.kind === 'deploy' || state !== undefined)
    const after = before.flatMap(state => outcomes(state, change, page)).filter(state => shows(state, wanted))
    if (after.length === 0) {
      const expected = JSON.stringify(before)
      complaints.push(`${name}: ${JSON.stringify(change)} of ${expected} is answered with ${JSON.stringify(wanted)}`)
      return
    }
    // A change that changed something makes an older one that is still on its way too late.
    if (before.every(state => !outcomes(state, change, page).some(next => isDeepStrictEqual(next, state)))) {
      page.open = []
    }
    page.possible = distinct(after)
  }

  function forgetGroupsOf (names: string[]): void {
    groups = groups.filter(group => !group.names.some(name => names.includes(name)))
  }

  return {
    complaints,
    figures,

    ask (names, change) {
      if (change.kind === 'deploy') for (const name of names) pageOf(name).sent.set(change.image, change.replicas)
      return {
        acknowledge (answers = []) {
          figures.acknowledged++
          forgetGroupsOf(names)
          for (const name of names) {
            const { name: _, ...shown } = answers.find(answer => answer.name === name) ?? { name }
            acknowledge(name, change, shown)
          }
        },
        refuse () {
          figures.refused++
        },
        leaveOpen () {
          figures.unanswered++
          forgetGroupsOf(names)
          for (const name of names) pageOf(name).open.push(change)
          if (names.length > 1 && change.kind === 'deploy') groups.push({ names, image: change.image })
        }
      }
    },

    contradictions (jobs) {
      const found = jobs.filter(({ job_name: name }) => !pages.has(name)).map(job => `${job.job_name}: nobody's`)
      for (const [name, page] of pages) {
        const named = jobs.filter(job => job.job_name === name)
        if (named.length > 1) found.push(`${name} is there ${named.length} times`)
        if (page.id !== undefined && named.some(({ id }) => id !== page.id)) found.push(`${name} is not ${page.id}`)
        const there = named[0] && wantedBy(named[0])
        const may = reachable(page)
        if (!may.some(state => isSame(state, there))) {
          found.push(`${name} is ${JSON.stringify(there)}, and can only be ${JSON.stringify(may)}`)
        }
      }
      return found
    },

    settle (jobs) {
      isDoubtful = false
      for (const { names, image } of groups) {
        const done = names.filter(name => jobs.some(job => job.job_name === name && job.descriptor.image === image))
        if (done.length > 0 && done.length < names.length) figures['in part']++
      }
      groups = []
      for (const [name, page] of pages) {
        const job = jobs.find(({ job_name: its }) => its === name)
        page.id = job?.id
        page.possible = [job && wantedBy(job)]
        page.open = []
      }
    },

    doubt () {
      isDoubtful = true
    }
  }
}

/** What one change makes of a service. */
function outcomes (state: Wanted | undefined, change: Change, { sent }: Page): Array<Wanted | undefined> {
  const { kind, ...asked } = change
  if (kind === 'deploy') return [{ running: true, ...(asked as { image: string; replicas: number }) }]
  if (kind === 'undeploy') return [state && { ...state, running: false }]
  if (!state?.running) return [state]
  if (change.kind !== 'rollback') return [{ ...state, ...asked }]
  // Whether it takes back a change of the number, too, is not for this book to say.
  const { image } = change
  return distinct([
    { ...state, image },
    { ...state, image, replicas: sent.get(image) ?? state.replicas }
  ])
}

/** What there may be by now: any of what was not answered, in any order. */
function reachable (page: Page): Array<Wanted | undefined> {
  let states = page.possible
  for (;;) {
    const more = distinct([
      ...states,
      ...states.flatMap(state => page.open.flatMap(one => outcomes(state, one, page)))
    ])
    if (more.length === states.length) return states
    states = more
  }
}

function distinct<T> (states: T[]): T[] {
  return states.filter((state, index) => states.findIndex(other => isDeepStrictEqual(other, state)) === index)
}

const wantedBy = ({ desired_state: desired, descriptor, replicas }: Job): Wanted => ({
  running: desired === 'running',
  image: descriptor.image as string,
  replicas
})

const shows = (state: Wanted | undefined, shown: Partial<Wanted>) =>
  Object.entries(shown).every(([key, value]) => state?.[key as keyof Wanted] === value)

/** Of what is undeployed, neither the image nor the number matters. */
function isSame (one: Wanted | undefined, other: Wanted | undefined): boolean {
  if (one && other && !one.running && !other.running) return true
  return isDeepStrictEqual(one, other)
}
