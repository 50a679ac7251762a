export const id = 567;
export const ids = [567];
export const modules = {

/***/ 5567:
/***/ ((__unused_webpack___webpack_module__, __webpack_exports__, __webpack_require__) => {

__webpack_require__.r(__webpack_exports__);
/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   releaseLeases: () => (/* binding */ N),
/* harmony export */   removeProbes: () => (/* binding */ H)
/* harmony export */ });
/* harmony import */ var node_module__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(8995);
/* harmony import */ var _chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(1885);
/* harmony import */ var _chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(3635);
/* harmony import */ var _chunk_GIXA2TAJ_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(5475);
/* harmony import */ var _chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(1481);
/* harmony import */ var _chunk_GJGRKNM5_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(4118);
/* harmony import */ var _chunk_OZJG4VPO_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(2564);
/* harmony import */ var _chunk_BGURZ2B4_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(5547);
/* harmony import */ var _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_8__ = __webpack_require__(321);
/* harmony import */ var _chunk_SALPXKWR_js__WEBPACK_IMPORTED_MODULE_9__ = __webpack_require__(9473);
 const require = (0,node_module__WEBPACK_IMPORTED_MODULE_0__.createRequire)(import.meta.url);
var T=6e4;function H(r){return w(e=>`The probe's namespace ${r} could not be removed from ${e}`,e=>(0,_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.ab)(e,r))}function N(r){return w(e=>`This run's Lease could not be given back in ${e}`,e=>(0,_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.Ba)(e,r))}async function w(r,e){let b={get:o=>(0,_chunk_LRDMJ25X_js__WEBPACK_IMPORTED_MODULE_4__.h)(o),env:o=>process.env[o]},{clusters:h,problems:y}=(0,_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.fb)({...b,machine:process.env},_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.bb),I=new _chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.o(T),P=(0,_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.B)(_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.db);await Promise.all(h.map(({name:o,kubeconfig:t})=>(0,_chunk_6LRV6XHT_js__WEBPACK_IMPORTED_MODULE_1__.a)(r(o),async()=>{if(!t)throw new _chunk_JMHJPXMB_js__WEBPACK_IMPORTED_MODULE_8__.a(y.join(" "));let n=(0,_chunk_ZFX3SN5E_js__WEBPACK_IMPORTED_MODULE_2__.C)(o,t,I,P);await e(n).finally(()=>n.close())})))}


/***/ })

};
