/** Code whose mutants the same tests should notice. */
export interface Room {
  /** Files, or the folders that they are in. */
  code: string[]
  /** Test files, or prefixes of their paths. */
  tests: string[]
  /** The test files share one process, which saves most of the time. For tests that leave nothing behind. */
  together?: boolean
  /** Milliseconds after which a property ends with the runs that it has had. Default PROPERTY_MS of mutate.ts. */
  propertyMs?: number
  /** Mutants tested at a time. Default COPIES of mutate.ts; more for tests that wait most of the time. */
  copies?: number
}

/** The raw WebSocket channel, without the plugin around it. */
const CHANNEL_CORE = [
  'acknowledgements', 'close-codes', 'delivery', 'frame-queue', 'frames', 'pings', 'session', 'sessions', 'sweep'
]

export const ROOMS: Record<string, Room> = {
  'state-machine': {
    code: ['services/job-lifecycle/state-machine/'],
    tests: ['test/unit/state-machine/', 'test/unit/model.property.test.ts'],
    together: true,
    propertyMs: 2000
  },
  'embedded-scheduler': {
    code: ['services/scheduler-client/embedded/'],
    tests: ['test/unit/embedded-scheduler/', 'test/service/scheduler-client/'],
    together: true
  },
  'cloud-scheduler': {
    code: ['services/scheduler-client/cloud/'],
    tests: ['test/service/cloud-scheduler/']
  },
  loop: {
    code: ['background/'],
    tests: ['test/unit/loop.test.ts']
  },
  channel: {
    code: CHANNEL_CORE.map(name => `services/cluster-channel/${name}.ts`),
    tests: ['test/service/channel/'],
    copies: 4
  },
  'http-push': {
    code: ['services/cluster-channel/http-push/'],
    tests: ['test/service/http-push/'],
    copies: 4
  },
  // MongoDB needs a server or the emulator: the stores' tests on SQLite alone.
  stores: {
    code: ['stores/store.ts', 'stores/address-space.ts', 'stores/sqlite/'],
    tests: ['test/unit/stores/', 'test/service/stores/sqlite']
  }
}
