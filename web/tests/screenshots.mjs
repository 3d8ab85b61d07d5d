// Pictures of the page, to be looked at: widths, schemes and states.
import { join } from "node:path";

export async function screenshots(visitor, folder, files) {
    const { page } = visitor;
    const take = async (name) => {
        await page.evaluate(() => scrollTo(0, 0));
        await new Promise((done) => setTimeout(done, 150));
        await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
    };
    for (const [device, width, deviceScaleFactor] of [["desktop", 1280, 1], ["phone", 390, 2]]) {
        await page.setViewport({ width, height: device === "phone" ? 844 : 860, deviceScaleFactor });
        for (const scheme of ["light", "dark"]) {
            await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
            await visitor.click("#sample");
            await take(`${device}-${scheme}`);
            const receipt = JSON.parse(await visitor.save("#save-receipt"));
            receipt.detections.detections[0].score = 0.9999;
            await visitor.set("#score", 0.15);
            await page.$eval("#rows button", (button) => button.click());
            await visitor.drop(["astronaut.png.receipt.json", JSON.stringify(receipt)]);
            await take(`${device}-${scheme}-tampered`);
            await visitor.set("#score", 0.5);
            await visitor.drop(["cut.png", files.photo.subarray(0, 5000)]);
            await page.evaluate(() => document.querySelector("#sample").click());
            await page.waitForFunction(() => /Running/.test(document.querySelector("#step").textContent), { polling: 5 }).catch(() => {});
            await take(`${device}-${scheme}-busy`);
            await visitor.idle();
            await visitor.drop(["cut.png", files.photo.subarray(0, 5000)]);
            await take(`${device}-${scheme}-error`);
        }
    }
}
