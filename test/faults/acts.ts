import fc from 'fast-check'
import { asForm, asYaml } from '../support/descriptor.js'

/** What a user does. Services are numbers; who does it gives them names. */
export type Act =
  | { do: 'deploy'; service: number; replicas: number; as: 'form' | 'yaml' | 'json'; isLarge: boolean }
  | { do: 'deploy several'; services: number[]; replicas: number; isLarge: boolean }
  | { do: 'scale'; service: number; replicas: number }
  | { do: 'roll back'; service: number }
  | { do: 'move'; service: number; to: string; order: 'start-first' | 'stop-first' }
  | { do: 'undeploy'; service: number }

/** Services of one user. */
const SERVICES = [0, 1, 2]

const BATCH = 200

/** Acts without an end, the same for the same seed. */
export function * actsOf (seed: number, places: string[]): Generator<Act & { waitMs: number }> {
  const service = fc.constantFrom(...SERVICES)
  const replicas = fc.integer({ min: 0, max: 3 })
  const isLarge = fc.boolean()
  const act: fc.Arbitrary<Act> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('deploy' as const),
        service,
        replicas,
        as: fc.constantFrom('form' as const, 'yaml' as const, 'json' as const),
        isLarge
      })
    },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('deploy several' as const),
        services: fc.subarray(SERVICES, { minLength: 2 }),
        replicas,
        isLarge
      })
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('scale' as const), service, replicas }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('roll back' as const), service }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('move' as const),
        service,
        to: fc.constantFrom(...places),
        order: fc.constantFrom('start-first' as const, 'stop-first' as const)
      })
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('undeploy' as const), service }) }
  )
  const timed = fc.tuple(act, fc.nat(60)).map(([one, waitMs]) => ({ ...one, waitMs }))
  for (let batch = 0; ; batch++) yield * fc.sample(timed, { seed: seed + batch * 1009, numRuns: BATCH })
}

interface Service {
  app: string
  service: string
  image: string
  replicas: number
  /** Fills the log of the embedded database, which so comes to its checkpoints. */
  isLarge?: boolean
}

/** A descriptor as a user writes it. It is not rolled back of itself: what it says stands until the user says more. */
export function descriptorOf ({ app, service, image, replicas, isLarge = false }: Service): object {
  return {
    api_version: 'v0.1',
    app_name: app,
    app_ns: 'default',
    service_name: service,
    service_ns: 'test',
    image,
    image_runtime: 'docker',
    requirements: { cpu: 0.1, memory: 10 },
    replicas,
    rollout: { auto_rollback: false },
    ...(isLarge && { notes: image.padEnd(40_000, ' and more') })
  }
}

/** A request that deploys one or several: JSON is YAML, too. */
export function deployRequest (descriptors: object[], as: 'form' | 'yaml' | 'json'): RequestInit {
  const text = descriptors.map(one => JSON.stringify(one)).join('\n---\n')
  if (as === 'form') return asForm(text)
  return as === 'yaml' ? asYaml(text) : asJson('POST', text)
}

export function asJson (method: string, body: string | object): RequestInit {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return { method, headers: { 'content-type': 'application/json' }, body: text }
}
