import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import type { Job } from '../../schemas/job.js'
import { patience } from '../support/waiting.js'
import { actsOf, asJson, deployRequest, descriptorOf, type Act } from './acts.js'
import type { Change, Ledger, Shown } from './ledger.js'

/** Users who work at the same time, each on services of its own, one thing after the other. */
export interface Users {
  /** Resolves when none of them has a request on its way. */
  pause(): Promise<void>
  resume(): void
  /** Resolves when the next change is acknowledged. */
  acknowledged(): Promise<void>
  /** Answers that no user should get, such as a 500. */
  complaints: string[]
  /** Why there was no answer, or a 503, and how often. */
  unavailable: Record<string, number>
}

interface Options {
  /** Where to ask, for each request anew. */
  url: () => string
  ledger: Ledger
  seed: number
  count: number
  /** Locations to move to. */
  places: string[]
  /** The longest pause between two acts is so many times longer. */
  slowness?: number
}

/** Milliseconds that a user waits for an answer, and after one that did not come. */
const ANSWER_MS = 5000
const RETRY_MS = 50

/** What may be refused: a job that is not there, does not run, has nothing to move or no earlier descriptor. */
const REFUSALS = new Set(['job_not_found', 'job_not_running', 'instance_not_found', 'revision_not_found', 'conflict'])

export function startUsers (t: Test, options: Options): Users {
  const { url, ledger, seed, count, places, slowness = 1 } = options
  const complaints: string[] = []
  const unavailable: Record<string, number> = {}
  const gate = { isOpen: true, isOver: false, busy: 0 }
  const acknowledgements: Array<() => void> = []

  /** Gives `unsent` where nobody listened. */
  async function ask (path: string, init?: RequestInit): Promise<{ status: number; body: any } | 'unsent' | undefined> {
    try {
      const answer = await fetch(url() + path, {
        ...init,
        signal: AbortSignal.timeout(Math.round(patience(ANSWER_MS)))
      })
      const text = await answer.text()
      // Errors of the older paths are text.
      return { status: answer.status, body: /^[[{]/.test(text) ? JSON.parse(text) : text }
    } catch (err) {
      // The server is gone, or what it said was cut off.
      const code = ((err as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? (err as Error).name
      if (code === 'ECONNREFUSED') return 'unsent'
      unavailable[code] = (unavailable[code] ?? 0) + 1
      return undefined
    }
  }

  /** Asks for a change and enters what came of it. Gives whether it was answered. */
  async function change (names: string[], change: Change, path: string, init: RequestInit): Promise<boolean> {
    const entry = ledger.ask(names, change)
    const answer = await ask(path, init)
    if (answer === 'unsent') return false
    if (!answer || answer.status >= 500) {
      if (answer && answer.status !== 503) complaints.push(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
      if (answer?.status === 503) {
        const why = `503 ${/[a-z]+_[a-z_]+/.exec(answer.body.code ?? answer.body)?.[0]}`
        unavailable[why] = (unavailable[why] ?? 0) + 1
      }
      entry.leaveOpen()
      return false
    }
    if (answer.status >= 400) {
      const { code } = answer.body
      if (!REFUSALS.has(code)) complaints.push(`${path}: ${answer.status} ${JSON.stringify(answer.body)}`)
      entry.refuse()
      return true
    }
    entry.acknowledge(shownBy(answer.body))
    for (const tell of acknowledgements.splice(0)) tell()
    return true
  }

  async function take (app: string, act: Act, number: number): Promise<boolean> {
    const nameOf = (service: number) => `${app}.default.s${service}.test`
    const image = `registry/${app}:${number}`
    if (act.do === 'deploy several') {
      const { services, replicas, isLarge } = act
      const descriptors = services.map(service =>
        descriptorOf({ app, service: `s${service}`, image, replicas, isLarge })
      )
      const asked = { kind: 'deploy', image, replicas } as const
      return await change(services.map(nameOf), asked, '/api/v1/applications', deployRequest(descriptors, 'yaml'))
    }
    const name = nameOf(act.service)
    const job = `/api/v1/jobs/${name}`
    switch (act.do) {
      case 'deploy': {
        const { replicas, isLarge, as } = act
        const descriptor = descriptorOf({ app, service: `s${act.service}`, image, replicas, isLarge })
        const path = as === 'form' ? '/api/deploy' : '/api/v1/jobs'
        return await change([name], { kind: 'deploy', image, replicas }, path, deployRequest([descriptor], as))
      }
      case 'scale': {
        const { replicas } = act
        return await change([name], { kind: 'scale', replicas }, job, asJson('PATCH', { replicas }))
      }
      case 'undeploy':
        return await change([name], { kind: 'undeploy' }, job, { method: 'DELETE' })
      case 'move': {
        // It changes nothing that the book has.
        const answer = await ask(`${job}/move`, asJson('POST', { to: act.to, order: act.order }))
        if (!answer || answer === 'unsent') return false
        if (answer.status === 500) complaints.push(`${job}/move: ${JSON.stringify(answer.body)}`)
        return answer.status < 500
      }
      case 'roll back': {
        const answer = await ask(job)
        if (!answer || answer === 'unsent') return false
        const [revision] = (answer.body as Job).revisions ?? []
        const earlier = revision?.descriptor?.image as string | undefined
        if (!revision || earlier === undefined) return true
        const asked = { kind: 'rollback', image: earlier } as const
        return await change([name], asked, `${job}/rollback`, asJson('POST', { generation: revision.generation }))
      }
    }
  }

  async function work (user: number): Promise<void> {
    let number = 0
    for (const { waitMs, ...act } of actsOf(seed + user, places)) {
      while (!gate.isOpen && !gate.isOver) await sleep(5)
      if (gate.isOver) return
      gate.busy++
      const isAnswered = await take(`user${user}`, act, number++).finally(() => {
        gate.busy--
      })
      await sleep(isAnswered ? waitMs * slowness : RETRY_MS)
    }
  }

  const working = Promise.all(Array.from({ length: count }, (_, user) => work(user)))
  working.catch((err: Error) => complaints.push(String(err.stack)))
  t.teardown(async () => {
    gate.isOver = true
    await working.catch(() => {})
  })
  return {
    complaints,
    unavailable,
    async pause () {
      gate.isOpen = false
      while (gate.busy > 0) await sleep(5)
    },
    resume () {
      gate.isOpen = true
    },
    acknowledged: () => new Promise(resolve => acknowledgements.push(resolve))
  }
}

/** What an answer shows of the services that it is about: a job, or what a deploy or an application tells of each. */
function shownBy (body: any): Shown[] {
  if (Array.isArray(body)) return body.flatMap(shownBy)
  if (body.services) return body.services.flatMap(shownBy)
  if (body.revision === undefined) return [{ id: body.job_id, name: body.job_name }]
  const { id, job_name: name, desired_state: desired, descriptor, replicas } = body as Job
  const running = desired === 'running'
  return [{ id, name, running, ...(running && { image: descriptor.image as string, replicas }) }]
}
