import { svelte } from '@sveltejs/vite-plugin-svelte'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import { World } from './test/world.mjs'

// While developing, the window talks to a made-up world of connections.
const fixture: Plugin = {
  name: 'keyturn-fixture',
  configureServer(server) {
    server.middlewares.use(new World('ordinary', { pace: 1500 }).middleware)
  },
}

export default defineConfig({
  base: './',
  plugins: [svelte(), fixture],
  build: {
    assetsInlineLimit: 0, // the window's content security policy has no use for data: scripts
    reportCompressedSize: false,
  },
  test: { include: ['src/**/*.test.ts'] },
})
