/** `npm run test:linux`: gets a kernel first. */
import { defineConfig } from "vitest/config";
import common from "../vitest.config.js";

export default defineConfig({
  test: {
    ...common.test,
    include: ["test/linux/**/*.test.ts"],
    globalSetup: ["test/linux/fetch-kernels.ts"],
    maxWorkers: 1,
  },
});
